"""English function words. Redaction uses them to tell a password from a sentence.

They are in `core` because redaction may not import `language`. The English rules in `language` import them from here;
other rooms ask `language.base`.
"""

from __future__ import annotations

PREPOSITIONS = frozenset(
    """of in on at by for with from into onto over under between among about like as than per via near within without
    against across upon toward towards around along through during after before since until beyond behind despite
    including such both either neither and or nor but to""".split()
)
DETERMINERS = frozenset(
    """a an the his her its their our my your this these those some any all most many several each every no other
    another more much few""".split()
)
VERBAL = frozenset(
    """who which that can may might will would could should must shall not is are was were be been being am has have
    had do does did it he she they we you i me him them us here there then so if when while where because although
    though however only just still even also often never always very too yet again once how why what whose
    whom""".split()
)
OTHERS = frozenset(
    """above below again out up down off own same well themselves itself himself herself hers theirs ours mine yours
    called named everything everyone everybody nothing nobody something someone somebody anything anyone
    anybody""".split()
)
FUNCTION = PREPOSITIONS | DETERMINERS | VERBAL | OTHERS
