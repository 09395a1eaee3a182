"""What a message about an unknown name says."""

from m2s.errors import unknown


def test_an_unknown_name_comes_with_the_nearest_ones_or_all():
    assert str(unknown("model", "unett", ["unet", "sfa"])) == "unknown model 'unett': did you mean unet?"
    assert str(unknown("number of dimensions", 4, {2: "", 3: ""})) == "unknown number of dimensions '4': known: 2, 3"
    assert "there are 30 known names" in str(unknown("encoder", "x", map(str, range(30))))
