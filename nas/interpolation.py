"""Networks whose widths lie between the choices of a search space: their scores and latencies."""

import functools

import numpy as np

from utils.errors import UserError


class Place:
    """Where widths lie among the choices of a SearchSpace: weights of choices and of states.

    A width that is a choice has one weight, of 1; one between two choices has two, which make it
    their weighted mean. Scores and costs are means with these weights, so a layer's cost is
    interpolated bilinearly in its two widths.
    Raises UserError, naming the layer, for widths that are narrower or wider than all choices.
    """

    def __init__(self, space, configuration, name="a network"):
        """name: of the network, for the error"""
        of_widths = []
        for layer, (width, widths) in enumerate(zip(configuration, space.choices, strict=True), 1):
            if not widths[0] <= width <= widths[-1]:
                raise UserError(
                    f"{name} has width {width} in layer {layer}, "
                    f"the search space has {widths[0]} to {widths[-1]}"
                )
            of_widths.append(np.array([np.interp(width, widths, u) for u in np.eye(len(widths))]))
        self._of_widths, self._chain = of_widths, space.chain
        self.nodes = [
            functools.reduce(np.multiply.outer, (of_widths[w] for w in node), np.ones(())).ravel()
            for node in space.chain.nodes
        ]

    def score(self, unary):
        """Return the sum of the scores of the nodes' states; -inf if one that counts is."""
        pairs = zip(map(np.asarray, unary), self.nodes, strict=True)
        return float(sum(scores[weights > 0] @ weights[weights > 0] for scores, weights in pairs))

    def value(self, pairwise):
        """Return the sum of the costs of neighbouring states."""
        total = 0.0
        for number, block in enumerate(pairwise):
            rows, columns = (np.flatnonzero(self.nodes[n]) for n in (number, number + 1))
            weights = np.outer(self.nodes[number][rows], self.nodes[number + 1][columns])
            for width, one, other in self._chain.shared(number, rows, columns):
                # States that agree on a width have its weight twice.
                agree = one[:, None] == other
                weights = np.where(agree, weights / self._of_widths[width][one][:, None], 0.0)
            costs = np.asarray(block)[np.ix_(rows, columns)]
            total += float(costs[weights > 0] @ weights[weights > 0])
        return total
