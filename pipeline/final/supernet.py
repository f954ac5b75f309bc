"""--from-supernet, --teacher supernet: where a network of train_final.py is cut out of."""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from models.recipe import SUPERNET
from models.trained_weights import TrainedWeights
from utils import checkpoints
from utils.digest import Digest, digest
from utils.errors import UserError
from utils.json_types import Natural, Positive, checked
from utils.metadata import same_network
from utils.progress import warn_first


class Source(msgspec.Struct, frozen=True):
    """The checkpoint of train_nas.py that a network was cut out of."""

    folder: str
    epoch: Positive  # finished ones
    sha256: Digest
    step: Natural = 0  # of the epoch after them


@dataclass(frozen=True)
class Supernet:
    """A trained supernet."""

    source: Source
    space: object  # its SearchSpace
    weights: TrainedWeights  # of the widest network

    def sub_network(self, configuration):
        """Return the TrainedWeights of a configuration; UserError if it is not of the space."""
        try:
            self.space.states(configuration)
        except UserError as error:
            place = f"--configuration is outside the search space of {self.source.folder}"
            raise UserError(f"{place}: {error}") from None
        return self.weights.cut_out(configuration)


def open_source(options, begun):
    """Return (options, Supernet) as --from-supernet asks for; None if no supernet is needed.

    begun: (configuration, Source or None) of the run that is resumed; None if training begins
    The options get a Source and, unless they have one, the configuration of the resumed run or the
    folder's answer. The folder is read only for first weights and for a teacher.
    """
    folder, targets = options.files.from_supernet, options.targets
    configuration, source = begun or (None, None)
    if not folder:
        return replace(options, source=source), None
    if begun:
        _check_same_folder(folder, source)
    supernet = None
    if not begun or targets.teacher == SUPERNET:
        supernet = open_supernet(folder, options.network, source)
        source, trained_at = supernet.source, supernet.space.input_size
        if not begun and trained_at != options.data.input_size:
            warn_first(
                f"{folder} was searched and trained at {trained_at}×{trained_at} pixels, and its "
                f"latency is of that size: --input-size {trained_at}?"
            )
        if targets.teacher == SUPERNET:
            targets = replace(targets, teacher_configuration=supernet.space.largest)
    configuration = options.configuration or configuration or _answer(folder, source)
    if not begun:
        supernet.sub_network(configuration)  # a mistake shows now, not after the data are read
    options = replace(options, configuration=configuration, targets=targets, source=source)
    return options, supernet


def _check_same_folder(folder, source):
    """Raise UserError if a run to be resumed started from another folder's checkpoint.

    The checkpoint tells; the folder's name, where it is gone.
    """
    path = source and checkpoints.checkpoint_path(folder, source.epoch, source.step)
    if path and path.is_file():
        _check_is(source, path, digest(path))
        return
    began = Path(source.folder).name if source else "random weights"
    if began != Path(folder).name:
        raise UserError(
            f"the run to be resumed started from {began}, not from {folder}: leave out "
            "--from-supernet, or begin in another --save-dir"
        )


def _check_is(source, path, sha256):
    """Raise UserError unless a checkpoint's digest is that of the Source of a resumed run."""
    if sha256 != source.sha256:
        raise UserError(f"{path} is not the checkpoint that the run to be resumed started from")


def _answer(folder, source):
    from pipeline.search.folder import last_answer

    try:
        return last_answer(folder, source.epoch)
    except UserError as error:
        raise UserError(f"{error}: give --configuration") from None


def open_supernet(folder, network, source=None):
    """Return the Supernet of a folder of train_nas.py.

    network: the name that its network must have
    source:  the Source that must be among its checkpoints; None for the newest one
    Raises UserError that names the folder or the file, and what is wrong with it.
    """
    # Imported here: it takes a while, and only these runs need it.
    from models.trained_files import read_trained
    from nas.search_space import SearchSpace
    from pipeline.search.checkpoints import Values

    path = _checkpoint(folder, source)
    _, values = checkpoints.load(path)
    values = checked(values, Values, f"{path} is not a checkpoint of train_nas.py")
    if not values.epoch:
        raise UserError(f"{folder} holds no finished epoch of a supernet, only {path.name}")
    own = checked(values.search_space.get("network", SearchSpace.network), str, f"{path}: network")
    if not same_network(own, network):
        raise UserError(f"{folder} holds a supernet of {own}, not of --network {network}")
    if "network" in values.search_space:
        values.search_space["network"] = network  # a file may have moved
    space = SearchSpace.from_dict(values.search_space, f"{path}: bad search_space")
    weights, _ = read_trained(path, space.description, space.largest)
    if weights.classes != space.classes:
        raise UserError(f"{path} has {weights.classes} classes, its search space {space.classes}")
    found = Source(str(folder), values.epoch, digest(path), values.step)
    if source:
        _check_is(source, path, found.sha256)
    return Supernet(source or found, space, weights)


def _checkpoint(folder, source):
    """Return the path of the checkpoint of a Source, or of a folder's newest one."""
    if not Path(folder).is_dir():
        raise UserError(f"{folder} is not a folder: expected an --expname of train_nas.py")
    if source:
        path = checkpoints.checkpoint_path(folder, source.epoch, source.step)
        if not path.is_file():
            raise UserError(f"{path} is missing, which the run to be resumed started from")
        return path
    path = checkpoints.latest(folder)
    if not path:
        raise UserError(f"{folder} holds no checkpoint of train_nas.py")
    return path
