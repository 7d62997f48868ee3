"""The token specification once more, in plain Python and regular expressions, to compare with."""

import re
import unicodedata

from earshot.model.unicode_tables import (
    APOSTROPHE,
    DIGIT,
    EMOJI,
    LETTER,
    MARK,
    REGIONAL,
    UNDERSCORE,
    UNSPACED,
    class_of,
    fold_character,
)  # fmt: skip

LETTERS = {
    LETTER: "L", DIGIT: "N", MARK: "M", UNDERSCORE: "_", UNSPACED: "U", EMOJI: "E",
    REGIONAL: "R", APOSTROPHE: "'",
}  # fmt: skip
CLASSES = re.compile(
    r"(?P<emoji>E|RR?)|(?P<run>U+)|(?P<word>[LNM_]+(?:'[LNM_]+)*)",
)
URL = re.compile(
    r"https?://[!#-;=?-~]*"
    r"|www\.[a-z0-9_][!#-;=?-~]*"
    r"|(?:[a-z0-9_-]+\.)*[a-z0-9_-]+\.(?:[a-z]{2,})(?=/)[!#-;=?-~]*"
)
MENTION = re.compile(r"@[a-z0-9_]+(?:[.-][a-z0-9_]+)*(?:@[a-z0-9_]+(?:[.-][a-z0-9_]+)*)?")
CASHTAG = re.compile(r"\$[a-z][a-z0-9_]*")
TAG = re.compile(r"#[LNM_U]*[LU][LNM_U]*")


def fold(text):
    text = re.sub("\u200d[\u2640\u2642]", "", text)
    return unicodedata.normalize("NFC", "".join(map(fold_character, text)))


def tokens(text):
    """(token, kind, position) of each token, derived ones too; kinds by name."""
    text = fold(text)
    shape = "".join(c if c in "#@$" else LETTERS.get(class_of(c), " ") for c in text)
    found, i, position, glued, tag_end = [], 0, 0, False, 0
    while i < len(text):
        in_tag = i < tag_end
        limit = tag_end if in_tag else len(text)
        if not in_tag and not glued and (m := TAG.match(shape, i)):
            found.append((text[i : m.end()], "HASHTAG", position))
            tag_end, i = m.end(), i + 1
        elif not glued and (m := MENTION.match(text, i)):
            found.append((m[0].replace(".", "-"), "MENTION", position))
            position, glued, i = position + 1, True, m.end()
        elif not glued and (m := CASHTAG.match(text, i)):
            found.append((m[0], "CASHTAG", position))
            position, glued, i = position + 1, True, m.end()
        elif m := CLASSES.match(shape, i, limit):
            part, i = text[i : m.end()], m.end()
            if m["word"] and not in_tag and (u := URL.match(text, m.start())):
                i, glued = u.end(), False
                continue
            if m["word"]:
                if re.search("[LN]", m[0]):
                    found.append((part, "TAGWORD" if in_tag else "WORD", position))
                    position += 1
                glued = not in_tag
                continue
            glued = False
            if m["emoji"]:
                found.append((part, "EMOJI", position))
                position += 1
                continue
            for pair in [part[k : k + 2] for k in range(max(1, len(part) - 1))]:
                found.append((pair, "TAGWORD" if in_tag else "BIGRAM", position))
                position += 1
            if len(part) > 1:
                found.append((part[-1], "TAIL", position - 1))
        else:
            i, glued = i + 1, False
    return found
