"""The chain that is searched: its nodes are the widths still needed further on in the network.

A state of a node is one choice for each of its widths. Where two neighbours share a width, only
states that agree on it fit together; all others are forbidden by an infinite cost. Each
width of MobileNet-v1 is a node of its own; in MobileNet-v2 and ResNet a node pairs a stage's width
with the width within a block.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from utils.errors import UserError

MOST = 2  # widths per node


@dataclass(frozen=True)
class Chain:
    """The chain of a network.

    sizes:    the number of choices of each width
    nodes:    the positions of each node's widths, increasing
    segments: the numbers of the layers before the first node, between neighbouring nodes, and
              after the last node: one more than nodes
    layers:   the positions of the widths that each layer reads and writes, None for constants
    """

    sizes: tuple[int, ...]
    nodes: tuple[tuple[int, ...], ...]
    segments: tuple[tuple[int, ...], ...]
    layers: tuple[tuple[int | None, int | None], ...]

    @classmethod
    def of(cls, network, sizes):
        """Return the chain of a Description, given the number of choices of each width.

        Raises UserError that names the widths if a node would need more than two.
        """
        position = {width: index for index, width in enumerate(network.widths)}
        layers = [(position.get(e.inputs), position.get(e.outputs)) for e in network.layers]
        used = [set(layer) - {None} for layer in layers]
        nodes = []
        for number in range(1, len(used)):
            before, after = set.union(*used[:number]), set.union(*used[number:])
            nodes.append(tuple(sorted(before & after)))
        segments = [(number,) for number in range(len(layers))]
        _drop_costly(nodes, segments, sizes)
        for node in nodes:
            if len(node) > MOST:
                names = ", ".join(network.widths[index].name for index in node)
                raise UserError(
                    f"{network.title} needs the widths of {names} at once: the search can keep "
                    f"{MOST}; let layers share a Width"
                )
        return cls(tuple(map(int, sizes)), tuple(nodes), tuple(segments), tuple(layers))

    @classmethod
    def plain(cls, sizes):
        """Return the chain in which each width is a node of its own, without layers."""
        nodes = tuple((number,) for number in range(len(sizes)))
        return cls(tuple(sizes), nodes, ((),) * (len(sizes) + 1), ())

    @cached_property
    def is_plain(self):
        """Whether each width is a node of its own."""
        return self.nodes == tuple((width,) for width in range(len(self.sizes)))

    @cached_property
    def node_sizes(self):
        """The number of states of each node, an int64 array."""
        return np.array([_size(node, self.sizes) for node in self.nodes])

    @cached_property
    def _choices(self):
        """Per node and width, which choice each state makes: {width: int64 array}."""
        grids = [np.indices([self.sizes[w] for w in node]) for node in self.nodes]
        pairs = zip(self.nodes, grids, strict=True)
        return [{w: g.ravel() for w, g in zip(node, grid, strict=True)} for node, grid in pairs]

    @cached_property
    def _first(self):
        """The first node that contains each width."""
        return [
            next(number for number, node in enumerate(self.nodes) if width in node)
            for width in range(len(self.sizes))
        ]

    def spread(self, values):
        """Yield, per segment, ([values of each layer], whether states fit together).

        values: per layer an array (choices of its inputs, choices of its outputs), of length 1 for
                constants
        Shapes are (states of the node before, states of the node after), 1 where there is none.
        """
        ends = [{}, *self._choices, {}]
        for segment, (before, after) in zip(self.segments, itertools.pairwise(ends), strict=True):
            at = {None: 0} | {width: choices[None, :] for width, choices in after.items()}
            at |= {width: choices[:, None] for width, choices in before.items()}
            rows, columns = (next(iter(end.values()), [0]) for end in (before, after))
            fit = np.ones((len(rows), len(columns)), dtype=bool)
            for width in before.keys() & after.keys():
                fit &= before[width][:, None] == after[width][None, :]
            pairs = ((values[layer], *self.layers[layer]) for layer in segment)
            yield [v[at[i], at[o]] + np.zeros_like(fit, v.dtype) for v, i, o in pairs], fit

    def shared(self, number, rows, columns):
        """Yield (width, its choices in `rows`, in `columns`) of each width that two nodes share.

        number: of the first node, which the other one follows; rows, columns: states of the two
        """
        before, after = self._choices[number : number + 2]
        for width in before.keys() & after.keys():
            yield width, before[width][rows], after[width][columns]

    def blocks(self, values):
        """Return the sums of values over the layers of each segment, as one array per segment.

        values: as for `spread`; states that do not fit together have an infinite sum
        """
        return [
            np.where(fit, sum(layers, start=np.zeros(fit.shape)), np.inf)
            for layers, fit in self.spread(values)
        ]

    def pairwise(self, values):
        """Return the costs of a network as one array per neighbouring pair of nodes.

        values: as for `spread`. The first array includes what comes before the first node, the
        last one what comes after the last node: the sum over the pairs is the network's.
        """
        first, *between, last = self.blocks(values)
        between[0] = between[0] + first.T
        between[-1] = between[-1] + last.T
        return between

    def unary(self, scores):
        """Return the scores of the widths, one array per width, as scores of the nodes' states."""
        if self.is_plain:
            return list(scores)
        unary = [np.zeros(size) for size in self.node_sizes]
        for width, node in enumerate(self._first):
            unary[node] = unary[node] + np.asarray(scores[width])[self._choices[node][width]]
        return unary

    def marginals(self, probabilities):
        """Return the distributions of the nodes' states as those of the widths' choices.

        Both are padded arrays, (nodes, states) and (widths, choices).
        """
        if self.is_plain:
            return probabilities
        rows = np.zeros((len(self.sizes), max(self.sizes)))
        for width, node in enumerate(self._first):
            choices = self._choices[node][width]
            own = np.bincount(choices, weights=probabilities[node, : len(choices)])
            rows[width, : len(own)] = own
        return rows

    def states(self, choices):
        """Return the states of the nodes, (…, nodes), of choices of the widths, (…, widths)."""
        choices = np.asarray(choices)
        states = np.zeros((*choices.shape[:-1], len(self.nodes)), dtype=np.int64)
        for number, node in enumerate(self.nodes):
            for width in node:
                states[..., number] = states[..., number] * self.sizes[width] + choices[..., width]
        return states

    def choices(self, states):
        """Return the choices of the widths, (…, widths), of states of the nodes, (…, nodes)."""
        states = np.asarray(states)
        if self.is_plain:
            return states
        columns = [
            self._choices[node][width][states[..., node]] for width, node in enumerate(self._first)
        ]
        return np.stack(columns, axis=-1)


def _size(node, sizes):
    return int(np.prod([sizes[width] for width in node]))


def _drop_costly(nodes, segments, sizes):
    """Leave out nodes whose neighbours hold all their widths, if pairs of states do not increase.

    This puts main path and shortcut of a block that changes the stage into the same segment.
    """
    number = 0
    while number < len(nodes):
        beside = [*nodes[max(0, number - 1) : number], *nodes[number + 1 : number + 2]]
        known = {width for node in beside for width in node}
        ends = [_size(node, sizes) for node in beside]
        apart = _size(nodes[number], sizes) * sum(ends)
        if len(nodes) > 2 and known >= set(nodes[number]) and np.prod(ends) <= apart:
            del nodes[number]
            segments[number : number + 2] = [segments[number] + segments[number + 1]]
            number = max(0, number - 1)
        else:
            number += 1
