"""The course's site, made from what the course is: READMEs, module sources, docstrings and what the reference shows.

links: where a link of the repository leads on the site. path: the learning path as a list. outputs: what the cells of
the reference print and draw, kept. module_page: a module's README and its notebook as handed out. reference: the API,
from docstrings. sources: every page as Sphinx reads it. leaks_shown: answers on the built pages. build: all of it, in
order. serve: the built pages over HTTP.
"""
