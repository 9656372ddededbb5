"""The losses of an alignment, from summed log-probabilities of options.

B pairs. Columns of `logps` [B, 4] (nats, summed over the option's tokens): preferred and other option in the first
language, then in the second. d_i = logps of the preferred minus the other option in language i: the policy's log-odds;
ref_i: the reference's.
"""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid


def log_odds(logps: torch.Tensor) -> torch.Tensor:
    """[B, 4] -> [B, 2]: log-odds of the preferred option in each language."""
    return logps[:, 0::2] - logps[:, 1::2]


def dco(
    logps: torch.Tensor, reference: torch.Tensor, followed: torch.Tensor, weights: torch.Tensor, target: str = "product"
) -> torch.Tensor:
    """Direct Consistency Optimization (arXiv 2603.04678), per pair [B], 0 or more.

        loss = | d_1 - t_1 | + | d_2 - t_2 |,    t_i = ref_i + w_ij ref_j

    With w_12 = 1/beta and w_21 = beta this is the paper's | r_1 - ref_2 / beta | + | r_2 - beta ref_1 |, where
    r_i = d_i - ref_i. At the optimum a language's preference is the product of both experts', so that languages which
    agree become more certain. `target` "mean" divides t_i by 1 + w_ij: languages that agree then stay as they are, and
    the loss of two identical languages is 0 at the reference.

    Args:
        logps: of the policy, [B, 4].
        reference: log-odds ref_1, ref_2 of the reference, [B, 2].
        followed: log-odds that the first and the second language follow: ref_2, ref_1, [B, 2].
        weights: w_12, w_21, [B, 2].
        target: `product` or `mean`.
    """
    aim = reference + weights * followed
    if target == "mean":
        aim = aim / (1 + weights)
    return (log_odds(logps) - aim).abs().sum(dim=1)


def dpo(logps: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """Direct Preference Optimization (arXiv 2305.18290, equation 7), summed over both languages, per pair [B].

        loss = - sum_i log sigmoid( beta (d_i - ref_i) )

    Args:
        logps: of the policy, [B, 4].
        reference: log-odds of the reference, [B, 2].
        beta: above 0.
    """
    return -logsigmoid(beta * (log_odds(logps) - reference)).sum(dim=1)


def sft(logps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood per token of the option in both languages, per pair [B].

    Args:
        logps: of the policy, [B, 2]: the option in the first and in the second language.
        lengths: scored tokens, [B, 2].
    """
    return -logps.sum(dim=1) / lengths.sum(dim=1)
