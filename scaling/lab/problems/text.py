"""A text that ships with every Python and is the same in all of them.

Documentation and licence texts change from version to version. The names of Unicode characters
never do, by Unicode's stability policy, and Python carries the list as it stood in Unicode 3.2.
"""

import unicodedata

#: Characters of the text in the order of their codes; the end of a line is the first.
ALPHABET = "\n -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def unicode_names() -> str:
    r"""Names of the characters of Unicode 3.2, a line each, such as LATIN SMALL LETTER SHARP S.

    Ideographs and Hangul syllables, whose names are made by rule, are left out.

    Returns
    -------
    str
        12,771 lines.

    Examples
    --------
    >>> unicode_names()[:30].split("\n")
    ['SPACE', 'EXCLAMATION MARK', 'QUOTATI']
    """
    made_by_rule = ("CJK ", "HANGUL SYLLABLE ")
    names = (unicodedata.ucd_3_2_0.name(chr(code), "") for code in range(0x110000))
    return "".join(f"{name}\n" for name in names if name and not name.startswith(made_by_rule))
