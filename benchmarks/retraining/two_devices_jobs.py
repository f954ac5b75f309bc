"""The jobs of benchmarks.two_devices: widths for each of two devices, from one supernet."""

from dataclasses import replace

from benchmarks.retraining.accuracy_jobs import QUESTION_COST_S, trained_supernet, widest_of
from benchmarks.retraining.accuracy_methods import FITTED
from benchmarks.retraining.device_table import DeviceTable
from benchmarks.retraining.following import Following
from benchmarks.retraining.jobs import Job, finished

DEVICES = ("onnxruntime", "openvino")
SEEDS = 2  # the last ones: a supernet of each


class TwoDevices(Following):
    """Tables of both devices, made on this machine; the answers by them, and their trainings."""

    FILE = "two-devices.jsonl"

    def __init__(self, settings, folder):
        super().__init__(settings, folder)
        self.seeds = settings.seeds[-SEEDS:]
        folders = {device: self.accuracy.folder / "two-devices" / device for device in DEVICES}
        self.tables = {d: DeviceTable(settings, path, d) for d, path in folders.items()}

    def cells(self):
        """Return {(device, target, seed): name of the job that trains the answer}."""
        seeds, targets = self.seeds, self.settings.targets
        cells = [(device, t, s) for s in seeds for t in targets for device in DEVICES]
        return {cell: _name("final", *cell) for cell in cells}

    def results(self):
        """Return {(device, target, seed): result} of finished trainings."""
        lines = finished(self.jobs_path)
        return {cell: lines[job] for cell, job in self.cells().items() if job in lines}

    def jobs(self):
        """Return all jobs, with those of benchmarks.accuracy that they need."""
        others = {job.name: job for job in self.accuracy.jobs()}
        jobs = [others["table"]]
        for device, table in self.tables.items():  # one after the other, and before all else
            jobs.append(self.accuracy.measuring(_table(device), table, (jobs[-1].name,)))
        for seed in self.seeds:
            jobs.append(replace(others[widest_of(seed)], needs=tuple(map(_table, DEVICES))))
            jobs.append(others[trained_supernet(seed)])
            for target in self.settings.targets:
                jobs += [self._question(device, target, seed) for device in DEVICES]
                jobs += [self._training(device, target, seed) for device in DEVICES]
        return jobs

    def _question(self, device, target, seed):
        """Return the job that asks the supernet for the widths for a device."""
        supernet, table_path = trained_supernet(seed), self.tables[device].path

        def run(results):
            target_ms = target * results[_table(device)]["full_ms"]
            found = self.accuracy.ask(seed, target, FITTED, target_ms, table_path)
            return {"target_ms": target_ms} | found

        name = _name("answer", device, target, seed)
        needs = (*map(_table, DEVICES), supernet)
        return Job(name, needs, QUESTION_COST_S, run, key=lambda _: supernet)

    def _training(self, device, target, seed):
        """Return the job that trains the widths for a device, unless both devices' are the same."""
        name, answer = _name("final", device, target, seed), _name("answer", device, target, seed)

        def run(results):
            configuration = results[answer]["configuration"]
            for other in DEVICES:
                trained = results.get(_name("final", other, target, seed))
                if trained and trained["configuration"] == configuration:
                    return trained
            trained = self.accuracy.train(name, configuration, seed)
            return {"configuration": configuration} | trained

        def key(results):
            return seed, tuple(results[answer]["configuration"])

        cost_s = self.settings.epochs * self.settings.epoch_cost_s
        return Job(name, (answer,), cost_s, run, key)


def _table(device):
    return f"{device}/table"


def _name(kind, device, target, seed):
    return f"{device}/{kind}/{seed}/{target}"
