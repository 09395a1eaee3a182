"""Say what is there of every data set, and what the catalogue knows of it."""

from pathlib import Path

from m2s.data.get.obtain import brought, by_hand, count_found, count_prepared, is_prepared, page_of, sets_of
from m2s.data.sets import CATALOGUE, SOURCES, find_source
from m2s.errors import InputError


def set_status(name: str, root: Path) -> dict:
    """What there is of a source below ``root``, and what the catalogue says of it, as plain values.

    ``status`` is "prepared", "found as distributed", "wrong layout" (with ``problem``), "downloaded" (archives are
    there, not yet prepared), "manual steps needed" or "absent"; ``images`` counts what is there.
    """
    source = find_source(name)
    about = CATALOGUE.get(name)
    parts = [CATALOGUE[n] for n in sets_of(name)]
    said = {
        "name": name,
        "title": about.title if about else f"PraNet's archives of {', '.join(p.title for p in parts)}",
        "modality": parts[0].modality,
        "download_mb": source.megabytes,
        "licence": about.licence if about else "as each of its sets",
        "home": about.home if about else page_of(name),
        "citation": about.citation if about else "Fan et al., PraNet, MICCAI 2020, and the paper of each of its sets",
        "splits": list(about.splits) if about else [],
        "note": about.note if about else "",
        "manual": list(by_hand(name, root)) if source.steps else [],
        "verified": source.verified,
        "images": None,
        "problem": "",
    }
    folder = root / "downloads" / name
    try:
        if all(is_prepared(n, root) for n in sets_of(name)):
            said |= {"status": "prepared", "images": sum(count_prepared(n, root) for n in sets_of(name))}
        elif root.is_dir() and all(found := [count_found(n, root) for n in sets_of(name)]):
            said |= {"status": "found as distributed", "images": sum(found)}
        elif folder.is_dir() and brought(folder):
            said |= {"status": "downloaded"}
        else:
            said |= {"status": "manual steps needed" if source.steps else "absent"}
    except InputError as error:
        said |= {"status": "wrong layout", "problem": str(error)}
    return said


def all_status(root: Path) -> list[dict]:
    """:func:`status` of every source."""
    return [set_status(name, root) for name in SOURCES]


def as_table(told: list[dict], root: Path) -> str:
    """One line for each data set, and below what one can do."""
    rows = [("name", "status", "images", "download", "licence", "home", "citation")]
    for one in told:
        images = "" if one["images"] is None else str(one["images"])
        rows.append((one["name"], one["status"], images, _size(one), one["licence"], one["home"], one["citation"]))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        lines.append(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        )
        lines.append("".ljust(widths[0]) + "  " + "; ".join(cell for cell in (row[6], row[4]) if cell))
    lines += [f"  {one['name']}: {one['problem']}" for one in told if one["problem"]]
    where = f"{root} (python data_scripts/NAME.py gets one, m2s data NAME shows one in full)"
    return "\n".join([f"data sets in {where}", *lines])


def in_full(one: dict) -> str:
    """All that is known of one data set, with the steps by hand."""
    lines = [f"{one['title']} ({one['name']}, {one['modality']})"]
    for label, value in (
        ("status", one["status"] + (f": {one['images']} images" if one["images"] is not None else "")),
        ("problem", one["problem"]),
        ("splits", ", ".join(one["splits"])),
        ("download", _size(one)),
        ("licence", one["licence"]),
        ("home", one["home"]),
        ("cite", one["citation"]),
        ("note", one["note"]),
        ("source", one["verified"]),
    ):
        if value:
            lines.append(f"  {label.ljust(9)}{value}")
    if one["status"] == "absent":
        lines.append(f"  get it   python data_scripts/{one['name']}.py")
    return "\n".join([*lines, *one["manual"]])


def _size(one: dict) -> str:
    if one["manual"]:
        return "by hand"
    return f"{one['download_mb']} MB" if one["download_mb"] else "size not known"
