"""Say what is there of every data set, and what the catalogue knows of it."""

from pathlib import Path

from m2s.data.get import obtain
from m2s.data.sets import CATALOGUE, SOURCES, find_source
from m2s.errors import InputError, told_where


def describe_source(name: str, root: Path) -> dict:
    """What is there of a source below ``root``, and what the catalogue says about it, as plain values.

    ``status`` is "prepared", "found as distributed", "wrong layout" (with ``problem``), "downloaded" (archives are
    there, not yet prepared), "manual steps needed" or "absent"; ``images`` counts what is there.
    """
    source = find_source(name)
    entry = CATALOGUE.get(name)
    parts = [CATALOGUE[part] for part in obtain.list_sets(name)]
    status, images, problem = _find_status(name, root)
    return {
        "name": name,
        "title": entry.title if entry else f"PraNet's archives of {', '.join(part.title for part in parts)}",
        "modality": parts[0].modality,
        "download_mb": source.megabytes,
        "licence": entry.licence if entry else "as each of its sets",
        "home": entry.home if entry else obtain.find_page(name),
        "citation": entry.citation if entry else "Fan et al., PraNet, MICCAI 2020, and the paper of each of its sets",
        "splits": list(entry.splits) if entry else [],
        "note": entry.note if entry else "",
        "manual": obtain.list_steps(name, root) if source.steps else [],
        "verified": source.verified,
        "images": images,
        "problem": problem,
        "status": status,
    }


def _find_status(name: str, root: Path) -> tuple[str, int | None, str]:
    """The status in words, the number of images, and what is wrong."""
    parts = obtain.list_sets(name)
    try:
        with told_where(root):
            if all(obtain.is_prepared(part, root) for part in parts):
                return "prepared", sum(obtain.count_prepared(part, root) for part in parts), ""
            if root.is_dir() and all(counts := [obtain.count_found(part, root) for part in parts]):
                return "found as distributed", sum(counts), ""
            if obtain.list_downloads(root / "downloads" / name):
                return "downloaded", None, ""
    except InputError as error:
        return "wrong layout", None, str(error)
    return "manual steps needed" if find_source(name).steps else "absent", None, ""


def describe_all_sources(root: Path) -> list[dict]:
    """:func:`describe_source` of every source."""
    return [describe_source(name, root) for name in SOURCES]


def format_table(sources: list[dict], root: Path) -> str:
    """One line for each source, and below what one can do."""
    rows = [("name", "status", "images", "download", "home", "citation", "licence")]
    for source in sources:
        images = "" if source["images"] is None else str(source["images"])
        about = source["home"], source["citation"], source["licence"]
        rows.append((source["name"], source["status"], images, _format_size(source), *about))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:4]]
    lines = []
    for *cells, home, citation, licence in rows:
        cells = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*cells, home]).rstrip())
        lines.append(" " * widths[0] + "  " + "; ".join(cell for cell in (citation, licence) if cell))
    lines += [f"  {source['name']}: {source['problem']}" for source in sources if source["problem"]]
    place = f"{root} (python data_scripts/NAME.py gets one, m2s data NAME shows one in full)"
    return "\n".join([f"data sets in {place}", *lines])


def format_source(source: dict) -> str:
    """All that is known about one source, with the steps that the user takes."""
    lines = [f"{source['title']} ({source['name']}, {source['modality']})"]
    images = f": {source['images']} images" if source["images"] is not None else ""
    for label, value in (
        ("status", source["status"] + images),
        ("problem", source["problem"]),
        ("splits", ", ".join(source["splits"])),
        ("download", _format_size(source)),
        ("licence", source["licence"]),
        ("home", source["home"]),
        ("cite", source["citation"]),
        ("note", source["note"]),
        ("source", source["verified"]),
    ):
        if value:
            lines.append(f"  {label.ljust(9)}{value}")
    if source["status"] == "absent":
        lines.append(f"  get it   python data_scripts/{source['name']}.py")
    return "\n".join([*lines, *source["manual"]])


def _format_size(source: dict) -> str:
    if source["manual"]:
        return "by hand"
    return f"{source['download_mb']} MB" if source["download_mb"] else "size not known"
