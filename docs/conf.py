"""Settings of the site. `docs/build.py` lays out the pages and calls Sphinx with this file; nothing is fetched."""

from importlib import metadata

from sphinx.ext import autosummary

project = "m2s"
author = "the m2s authors"
release = metadata.version("m2s")

exclude_patterns = ["README.md", "download"]  # README is in the page index; notebooks to download are no pages
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]

# The notebooks are shown as they were executed; the build executes nothing.
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the solution"  # no other cells are folded
nb_code_prompt_hide = "Hide the solution"
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}  # else pages with widgets would load scripts from the network
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Equations: one file of MathJax, with its fonts inside, from a package. Its menu could load more, so there is none.
html_static_path = [
    "site.css",
    str(
        metadata.distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg.js")
    ),
]
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # torch's words on forward() say nothing here
autosummary_generate = False
autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.",)  # or a summary ends there

html_theme = "pydata_sphinx_theme"
html_title = "m2s"
html_css_files = ["site.css"]
LEAVES = ("index", "docs/results", "docs/running", "docs/cluster", "docs/data", "docs/teachers")
html_sidebars = {page: [] for page in LEAVES}  # they have no pages below them
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
}
copyright = "the m2s authors; MIT licence"

suppress_warnings = [
    "misc.highlighting_failure",  # "…" in a piece of Python: it is shown, and coloured as far as it goes
    "myst.header",  # parts of the README start at their second level
]
