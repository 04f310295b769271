"""The book: `make docs` builds build/docs from this folder."""

project = "steering"
author = "the steering authors"
project_copyright = "the steering authors, Apache-2.0"
extensions: list[str] = []
master_doc = "index"
exclude_patterns: list[str] = []
nitpicky = True
html_theme = "alabaster"
html_theme_options = {
    "description": "Every subflow to its proxy",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_static_path: list[str] = []
html_show_sourcelink = False
highlight_language = "text"
