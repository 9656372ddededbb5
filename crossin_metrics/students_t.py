"""Student's t distribution for any positive degrees of freedom, from the standard library alone."""

from __future__ import annotations

from math import erfc, exp, inf, isnan, lgamma, log, log1p, nan, pi, sqrt

_STEPS = 500  # of the continued fraction; it settles within about sqrt(degrees / 2) steps
_SMALL = 1e-300
_NORMAL = 1e7  # degrees from which seven digits are the normal distribution's


def two_sided_p(t: float, degrees: float) -> float:
    """Return P(|T| >= |t|), in [0, 1], of Student's t with `degrees` > 0 (need not be whole; may be infinite).

    P = I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t^2): Abramowitz and Stegun 26.7.1 and 26.5.27.
    NaN where either is NaN.

    >>> round(two_sided_p(4.302652729911275, 2.0), 6)
    0.05
    """
    if isnan(t) or isnan(degrees):
        return nan
    if degrees > _NORMAL:
        return erfc(abs(t) / sqrt(2.0))
    if abs(t) == inf:
        return 0.0
    return _incomplete_beta(degrees, t * t)


def critical_value(level: float, degrees: float) -> float:
    """Return the t > 0 with P(|T| <= t) = level, for level in (0, 1); NaN where `degrees` is NaN.

    >>> round(critical_value(0.95, 2.0), 4)
    4.3027
    """
    if isnan(degrees):
        return nan
    # Newton's method on log P over log t, which is nearly a line: P falls as a power of t in the tail.
    wanted, log_t = log(1.0 - level), 0.7
    for _ in range(100):
        t = exp(log_t)
        p = two_sided_p(t, degrees)
        step = (log(p) - wanted) * p / (2.0 * t * _density(t, degrees))
        log_t += max(-1.0, min(1.0, step))
        if abs(step) < 1e-13:
            break
    return exp(log_t)


def _density(t: float, degrees: float) -> float:
    if degrees > _NORMAL:
        return exp(-t * t / 2.0) / sqrt(2.0 * pi)
    constant = lgamma((degrees + 1.0) / 2.0) - lgamma(degrees / 2.0) - log(degrees * pi) / 2.0
    return exp(constant - (degrees + 1.0) / 2.0 * log1p(t * t / degrees))


def _incomplete_beta(degrees: float, square: float) -> float:
    """I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + square)."""
    if square == 0.0:
        return 1.0
    a, b = degrees / 2.0, 0.5
    x, rest = degrees / (degrees + square), square / (degrees + square)  # rest = 1 - x, without its rounding
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) - a * log1p(square / degrees) + b * log(rest))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, rest) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The fraction of DLMF 8.17.22, by Lentz's method."""
    c, d = 1.0, 1.0 / _off_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _off_zero(1.0 + term * d)
            c = _off_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def _off_zero(number: float) -> float:
    return number if abs(number) > _SMALL else _SMALL
