"""What messages say: about an unknown name, and with any file in them."""

from m2s.errors import show_plain, unknown


def test_an_unknown_name_comes_with_the_nearest_ones_or_all():
    assert str(unknown("model", "unett", ["unet", "sfa"])) == "unknown model 'unett': did you mean unet?"
    assert str(unknown("number of dimensions", 4, {2: "", 3: ""})) == "unknown number of dimensions '4': known: 2, 3"
    assert "there are 30 known names" in str(unknown("encoder", "x", map(str, range(30))))


def test_a_message_is_one_line_whatever_a_file_is_called():
    assert show_plain("no such file: a\nb\x1b[2J\udce9 é 图.png") == r"no such file: a\nb\x1b[2J\udce9 é 图.png"
