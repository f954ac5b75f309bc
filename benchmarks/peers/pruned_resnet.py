"""ResNet-18 pruned by Torch-Pruning, step by step: its widths, and the weights after a step.

    .venv-peers/bin/python -m benchmarks.peers.pruned_resnet resnet18.params widths.jsonl
    .venv-peers/bin/python -m benchmarks.peers.pruned_resnet resnet18.params widths.jsonl \\
        --steps 40 --weights pruned.safetensors

By global Taylor importance, with the settings that benchmarks.peers.torch_pruning explains; widths
may be any number of channels. The same network and seed are pruned alike.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from itertools import islice

from safetensors.torch import save_file

from benchmarks.peers.task import open_trained
from benchmarks.peers.torch_pruning import pruned_widths
from networks import open_network
from utils.command_line import Parser, add_seed, natural
from utils.errors import exits_with_one_line
from utils.json_lines import write_lines

STEPS = 100  # to prune all channels
NARROWEST = 0.2  # multiplier, that of the search space


@exits_with_one_line
def main():
    """Write the widths before pruning and after each step, and the weights after the last."""
    options = Parser(description=__doc__.partition("\n")[0])
    options.add_argument("parameters", help="that train_final.py --framework pytorch wrote")
    options.add_argument("widths", help="file of JSON lines: a list of widths after each step")
    options.add_argument("--steps", type=natural, default=STEPS, help=f"of {STEPS}, to take")
    options.add_argument("--weights", help="file for the weights after the last step")
    options.add_argument("--data", default="glyphs", help="images that the network was trained on")
    options.add_argument("--classes", type=int, default=49)
    add_seed(options.add_argument, of="the images that are drawn")
    args = options.parse_args()
    network = open_network("resnet18", args.classes)
    trained = open_trained(network, 1.0, args.parameters, args.data, 32, args.seed)
    every = pruned_widths(trained, "taylor", STEPS, NARROWEST)
    write_lines(args.widths, [list(widths) for widths in islice(every, args.steps + 1)])
    if args.weights:
        save_file(trained.net.state_dict(), args.weights)


if __name__ == "__main__":
    main()
