"""What the people of the world say, one file a language: all of it made up for this project.

No text holds a quote, a backslash or a control character, so that it can stand in JSON as it is.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The phrases of one language. A post is opener + frame(topic) + detail + opinion + emoji."""

    lang: str
    """BCP 47 primary tag."""
    topics: tuple[str, ...]
    """One pattern for each of `CATEGORIES`; `{}` is where the name goes."""
    openers: tuple[str, ...]
    frames: tuple[tuple[str, str], ...]
    """What stands before and behind a topic."""
    chatter: tuple[str, ...]
    """Sentences without a topic."""
    details: tuple[tuple[str, str], ...]
    """What stands before and behind a number."""
    good: tuple[str, ...]
    bad: tuple[str, ...]
    plain: tuple[str, ...]
    replies: tuple[str, ...]
    spam: tuple[str, ...]
    bios: tuple[tuple[str, str], ...]
    """What stands before and behind a topic in a profile."""
    given: tuple[str, ...]
    family: tuple[str, ...]
    space: str = " "
    """What parts sentences."""
    script: int = 0
    """Column of `NAMES`: 0 Latin, 1 Katakana, 2 Arabic."""


CATEGORIES = (
    "festival",
    "cup",
    "storm",
    "album",
    "telescope",
    "game",
    "series",
    "cafe",
    "referendum",
    "tram",
    "startup",
    "museum",
)
"""What kind of thing a topic is; topic number modulo their number."""

NAMES = (
    ("Aurelle", "オーレル", "أوريل"),
    ("Kestrel Bay", "ケストレル湾", "كسترل"),
    ("Novara Lume", "ノヴァラ", "نوفارا"),
    ("Tamsin", "タムシン", "تمسين"),
    ("Orrin", "オリン", "أورين"),
    ("Velmora", "ヴェルモラ", "فلمورا"),
    ("Quillon", "クィロン", "كويلون"),
    ("Marrow Hill", "マロウヒル", "مارو"),
    ("Solvane", "ソルヴェイン", "سولفان"),
    ("Pellamy", "ペラミー", "بلامي"),
    ("Zephra", "ゼフラ", "زفرا"),
    ("Ondalia", "オンダリア", "أونداليا"),
    ("Brindle", "ブリンドル", "برندل"),
    ("Castavel", "カスタヴェル", "كاستافل"),
    ("Fenwick Nord", "フェンウィク", "فنويك"),
    ("Isarra", "イサラ", "إسارا"),
    ("Juniper Row", "ジュニパー", "جونيبر"),
    ("Lorimond", "ロリモンド", "لوريموند"),
    ("Mirano", "ミラノヴァ", "ميرانوفا"),
    ("Nettlesea", "ネトルシー", "نتلسي"),
    ("Palvo", "パルヴォ", "بالفو"),
    ("Rookhaven", "ルークヘイヴン", "روكهافن"),
    ("Sabrelle", "サブレル", "سابريل"),
    ("Tirion", "ティリオン", "تيريون"),
    ("Umbra Vale", "アンブラ谷", "أمبرا"),
    ("Vantora", "ヴァントラ", "فانتورا"),
    ("Wexley", "ウェクスリ", "وكسلي"),
    ("Yarrow", "ヤロウ", "يارو"),
    ("Zindel", "ジンデル", "زندل"),
    ("Corvane", "コルヴェイン", "كورفان"),
    ("Dunmere", "ダンミア", "دنمير"),
    ("Elowen", "エロウェン", "إلوين"),
    ("Farrow", "ファロウ", "فارو"),
    ("Glimsund", "グリムスン", "غلمسن"),
    ("Harlune", "ハルーン", "هارلون"),
    ("Ilvesta", "イルヴェスタ", "إلفستا"),
)
"""Names of what is talked of, as each script writes them."""

EMOJI_GOOD = ("🎉", "😍", "🔥", "🙌", "😂", "❤️", "✨", "👏", "🥳", "💪", "☀️", "🫶")
EMOJI_BAD = ("😡", "😭", "🙄", "💔", "😤", "😬", "👎", "🤦", "😞", "⛈️")
EMOJI_PLAIN = ("👀", "🤔", "📸", "📢", "🧵", "👇", "☕", "🗓️")

DOMAINS = (
    "harbourpost.example",
    "www.dailylantern.example",
    "nordblick.example",
    "lavozdelmar.example",
    "jornalda-ria.example",
    "lemessager.example",
    "video.pondtube.example",
    "photos.framely.example",
    "blog.openkettle.example",
    "shop.tinywares.example",
    "yorunews.example",
    "meydan.example",
    "alminbar.example",
    "podcasts.earwave.example",
    "maps.wayfold.example",
    "science.deepfield.example",
)
SPAM_DOMAINS = (
    "win-big-now.example",
    "crypt0-gift.example",
    "cheap-pillz.example",
    "fastcash.example",
)
