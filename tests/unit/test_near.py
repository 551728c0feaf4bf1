"""`near` returns the allowed word that the author of a misspelled or foreign word probably meant."""

import pytest

from metrics_tools.validate.contract import OPERATIONS
from metrics_tools.validate.near import did_you_mean, near


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("smaa", "sma"),
        ("SMA", "sma"),
        ("ewma", "ema"),
        ("Moving Average", "sma"),
        ("shift", "lag"),
        ("xyz", None),
    ],
)
def test_window_operations_lose_their_first_observations(word, meant):
    assert near(word, OPERATIONS["window_op"]) == meant


def test_a_name_with_other_case_or_separators_is_the_same_name():
    assert near("series-code", ["seriesCode", "series"]) == "seriesCode"
    assert near("SERIES_CODE", ["series_code"]) == "series_code"


def test_the_name_of_another_tool_is_meant_only_if_the_field_is_allowed():
    assert near("mean", OPERATIONS["window_op"]) == "sma"
    assert near("mean", OPERATIONS["composite"]) == "avg"
    assert near("mean", OPERATIONS["series_math"]) is None


def test_signs_have_no_letters():
    assert near("/", OPERATIONS["series_math"]) == "ratio"
    assert near("?", ["ratio"]) is None


def test_without_allowed_names_no_name_is_near():
    assert near("sma", []) is None
    assert did_you_mean("sma", []) is None


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("log", "lag"),
        ("mad", "max"),
        ("sem", "sma"),
        ("ECB_XAU_EUR_D", "ECB_ZAR_EUR_D"),
        ("ECB_USD_EUR_M", "ECB_USD_EUR_D"),
    ],
)
def test_another_letter_in_a_short_word_is_another_word(word, name):
    assert near(word, [name]) is None


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("lagg", "lag"),
        ("mx", "max"),
        ("sam", "sma"),
        ("raito", "ratio"),
        ("path", "basePath"),
        ("ECB_USDD_EUR_D", "ECB_USD_EUR_D"),
        ("ECB_UDS_EUR_D", "ECB_USD_EUR_D"),
        ("BCRA_RESERVSA_USD", "BCRA_RESERVAS_USD"),
    ],
)
def test_a_typing_error_is_found(word, name):
    assert near(word, [name]) == name
