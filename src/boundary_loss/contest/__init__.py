"""One report over several data sets: the same rows (losses) trained on each, with several seeds (contest.make).

sets.py        the finished runs of each set, and what is missing
bootstrap.py   means of every row under other patients and other seeds
standings.py   mean ranks over sets, and how often a row leads and is shown to be better than the base
claims.py      the comparisons with the base, with Holm's correction over the whole contest
costs.py       what the losses cost a step, as measured
reading.py     what may be written and what may not
tables.py      CSV, Markdown, LaTeX; page.py the page; pictures.py the plots; section.py a marked section of a page
"""
