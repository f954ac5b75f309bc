"""Writing samples files: which configurations are drawn, and a file that is begun or continued."""

from pathlib import Path

from pipeline.latency.samples import read_samples, refuse_missing_reference
from utils.atomic_files import is_special
from utils.errors import UserError
from utils.json_lines import Appender, metadata_path, read_metadata, write_metadata
from utils.metadata import OBSERVED, first_difference


def begun_metadata(path):
    """Return the Metadata of a samples file that was begun, or None."""
    begun = is_begun(path) and metadata_path(path).exists()
    return read_metadata(path) if begun else None


def is_begun(path):
    """Return whether a file exists and is not empty."""
    return Path(path).exists() and Path(path).stat().st_size > 0


class SamplesFile:
    """A samples file that is begun or continued; it is locked while it is open.

    path, metadata: the file, and the Metadata of the settings that it is to be measured with
    Its metadata is written before the first sample. Raises UserError, naming the first difference,
    if the file was begun with other settings.
    """

    def __init__(self, path, metadata, space, save_every=1):
        self.path = path
        self.metadata = metadata
        self._save_every = save_every
        self._unsaved = 0
        self._refuse_other_settings()  # before the file is opened for writing: it may not be ours
        self._file = Appender(path)
        try:
            self._refuse_other_settings()  # again: another process may have held the lock
            self.samples = read_samples(path, space) if is_begun(self.path) else []
            refuse_missing_reference(path, self.samples)
            if not self.samples:
                write_metadata(path, metadata)
        except BaseException:
            self._file.__exit__()
            raise

    def _refuse_other_settings(self):
        if not is_begun(self.path):
            return
        if not metadata_path(self.path).exists():
            raise UserError(
                f"{self.path} holds something, but {metadata_path(self.path)} is missing: "
                "how it was measured is not known, so no sample can be added"
            )
        begun = read_metadata(self.path).settings
        difference = first_difference(begun, self.metadata.settings)
        if difference:
            name, then, now = difference
            raise UserError(
                f"{self.path} was begun with other settings: {name} was {then!r}, now it is {now!r}"
            )

    def append(self, lines):
        """Append finished samples; they reach the disk with every `save_every`-th sample."""
        self._unsaved += len(lines)
        is_due = self._unsaved >= self._save_every
        self._file.append(lines, sync=is_due)
        if is_due:
            self._unsaved = 0
        self.samples += [(tuple(line[0]), *line[1:]) for line in lines]

    def note(self, **observed):
        """Add what the run observed to the metadata."""
        unknown = set(observed) - set(OBSERVED)
        if unknown:
            raise ValueError(f"not something that a run observes: {sorted(unknown)}")
        if is_special(self.path):
            return
        write_metadata(self.path, read_metadata(self.path).stating(**observed))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.__exit__(*exception)
