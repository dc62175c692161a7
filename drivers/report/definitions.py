"""Every figure's name, unit and definition, in the order in which a report has them. The arithmetic is in figures.py.

Sources: Sharpe (1994); its standard error: Lo (2002); Sortino and Price (1994), its standard error by the delta method on the
moments; the interval of a share: Wilson (1927); Calmar: Young (1991); alpha and beta: Jensen
(1968); MAE and MFE: Sweeney (1996); probabilistic Sharpe ratio and minimum track record: Bailey and Lopez de Prado (2012);
deflated Sharpe ratio: the same (2014).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Unit = Literal["share", "money", "bps", "ratio", "times", "count", "duration", "bars"]
"""share: of 1. money: quote currency. times: of equity. duration: ns."""


class Definition(NamedTuple):
    """What a figure is called and how it is computed; `{days}` and `{days_a_year}` are the run's days, and those in a year."""

    group: str
    label: str
    unit: Unit
    words: str


_YEARLY: Final = "times the square root of the days in a year ({days_a_year:,.0f}); the riskless rate is taken as 0"
_ERRORS: Final = "95 % interval: 1.96 standard errors {source}, daily returns taken as independent"

DEFINITIONS: Final[dict[str, Definition]] = {
    "total_return": Definition(
        "Growth",
        "Total return",
        "share",
        "product of 1 + the return of every bar, less 1; a bar's return is equity at its close less cash flows in it, over the "
        "equity before it, less 1",
    ),
    "profit": Definition("Growth", "Profit", "money", "equity at the end less cash flows less equity at the start"),
    "end_equity": Definition("Growth", "Equity at the end", "money", "cash plus positions at the last close"),
    "cagr": Definition(
        "Growth", "Annualised growth (CAGR)", "share", "(1 + total return) to the power of 365 days over the span, less 1"
    ),
    "calmar": Definition("Growth", "Calmar ratio", "ratio", "annualised growth over the largest drawdown"),
    "volatility": Definition(
        "Risk",
        "Annualised volatility",
        "share",
        "standard deviation (n - 1) of the {days:,} daily returns (UTC days) times the square root of the days in a year "
        "({days_a_year:,.0f})",
    ),
    "sharpe": Definition(
        "Risk",
        "Sharpe ratio",
        "ratio",
        f"mean daily return over its standard deviation (n - 1), {_YEARLY}; {_ERRORS.replace('{source}', '(Lo 2002)')}",
    ),
    "sortino": Definition(
        "Risk",
        "Sortino ratio",
        "ratio",
        "mean daily return over the root mean square of the daily returns below 0 (all days counted), "
        f"{_YEARLY}; {_ERRORS.replace('{source}', '(delta method)')}",
    ),
    "max_drawdown": Definition(
        "Risk",
        "Largest drawdown",
        "share",
        "largest 1 - equity over its highest close so far; of a debt, at least the loss since the start",
    ),
    "drawdown_duration": Definition(
        "Risk", "Longest time under water", "duration", "longest stretch of closes below an earlier high"
    ),
    "worst_bar": Definition("Risk", "Worst bar", "share", "lowest return of a bar"),
    "trials": Definition(
        "Luck",
        "Trials on these data",
        "count",
        "different settings, code, symbols or spans that the project has run on these data, this run included; its ledger "
        "trials.jsonl has {runs:,} runs on them, and equal ones count once",
    ),
    "probabilistic_sharpe": Definition(
        "Luck",
        "Probabilistic Sharpe ratio",
        "share",
        "probability that the true Sharpe ratio is above 0, given {days:,} days, their skewness and kurtosis, and as if "
        "nothing had been chosen among trials",
    ),
    "luck_sharpe": Definition(
        "Luck",
        "Sharpe ratio of the luckiest",
        "ratio",
        "Sharpe ratio to expect of the best of {trials:,} trials none of which is worth anything, from the variance of the "
        "trials' ratios; one trial has none",
    ),
    "deflated_sharpe": Definition(
        "Luck",
        "Deflated Sharpe ratio",
        "share",
        "probability that the true Sharpe ratio is above that of the luckiest of {trials:,} worthless trials: below 95 %, the "
        "result may be the luck of having tried so many",
    ),
    "track_record": Definition(
        "Luck",
        "Minimum track record, days",
        "count",
        "days that such a Sharpe ratio needs so that the true one is above 0 with a probability of 95 %",
    ),
    "hold_return": Definition(
        "Against buy and hold",
        "Buy and hold, total return",
        "share",
        "equal parts in every symbol, each bought at its first known close and held to the end, without costs or funding",
    ),
    "hold_drawdown": Definition(
        "Against buy and hold",
        "Buy and hold, largest drawdown",
        "share",
        "largest 1 - its wealth over its highest close so far",
    ),
    "alpha": Definition(
        "Against buy and hold",
        "Annualised alpha",
        "share",
        "intercept of the regression of the account's daily returns on those of buy and hold, times the days in a year "
        "({days_a_year:,.0f}); 95 % interval: 1.96 standard errors",
    ),
    "beta": Definition(
        "Against buy and hold", "Beta", "ratio", "slope of the same regression; 95 % interval: 1.96 standard errors"
    ),
    "information_ratio": Definition(
        "Against buy and hold",
        "Information ratio",
        "ratio",
        "mean daily return less that of buy and hold, over the standard deviation (n - 1) of the difference, "
        f"{_YEARLY.partition(';')[0]}; {_ERRORS.replace('{source}', '(Lo 2002)')}",
    ),
    "time_in_market": Definition("Exposure", "Time in the market", "share", "bars that close with a position, over all bars"),
    "gross_mean": Definition(
        "Exposure", "Gross exposure, mean", "share", "mean over all bars of the sum of |position * price| over equity"
    ),
    "gross_max": Definition(
        "Exposure", "Gross exposure, highest (leverage)", "share", "highest sum of |position * price| over equity"
    ),
    "net_mean": Definition(
        "Exposure", "Net exposure, mean", "share", "mean over all bars of the sum of position * price over equity"
    ),
    "net_max": Definition("Exposure", "Net exposure, highest", "share", "highest |sum of position * price| over equity"),
    "orders": Definition("Trading", "Orders", "count", "orders sent, stops and targets included"),
    "fills": Definition("Trading", "Fills", "count", "fills of orders"),
    "turnover": Definition("Trading", "Turnover", "times", "sum of |quantity| * price of all fills over mean equity"),
    "turnover_day": Definition("Trading", "Daily turnover", "times", "turnover over the days of the span"),
    "fees": Definition("Trading", "Fees", "money", "sum of the fees of all fills"),
    "fees_share": Definition("Trading", "Fees as a share of profit before fees", "share", "fees over profit plus fees"),
    "slippage": Definition(
        "Trading",
        "Slippage",
        "money",
        "sum of signed quantity * (price - reference price) of all fills; the reference is the open for a market order, else "
        "the order's own price",
    ),
    "funding": Definition("Trading", "Funding paid", "money", "funding paid less received, as the ledger booked it"),
    "cost_bps": Definition("Trading", "Cost of trading", "bps", "fees plus slippage over the traded notional"),
    "trips": Definition("Round trips", "Round trips", "count", "times that a position went from flat to flat, or turned over"),
    "hit_rate": Definition(
        "Round trips", "Win rate", "share", "round trips with a profit after fees, over all; 95 % interval: Wilson"
    ),
    "profit_factor": Definition(
        "Round trips",
        "Profit factor",
        "ratio",
        "profits of the round trips that gained over losses of those that did not, after fees",
    ),
    "trip_bps": Definition(
        "Round trips",
        "Mean round trip",
        "bps",
        "mean of profit after fees over what was paid to open; 95 % interval: 1.96 standard errors, trips taken as independent",
    ),
    "trip_bps_median": Definition("Round trips", "Median round trip", "bps", "median of the same"),
    "payoff": Definition(
        "Round trips", "Payoff ratio", "ratio", "mean profit of those that gained over mean loss of those that did not"
    ),
    "adverse": Definition(
        "Round trips",
        "Adverse excursion, median (MAE)",
        "bps",
        "median of how far the price went against each round trip, from its mean entry price, over the bars wholly within it",
    ),
    "favourable": Definition(
        "Round trips",
        "Favourable excursion, median (MFE)",
        "bps",
        "median of how far the price went with each round trip, likewise",
    ),
    "holding_bars": Definition(
        "Round trips", "Holding time, median", "bars", "median of the bars from the first fill to the last"
    ),
}
