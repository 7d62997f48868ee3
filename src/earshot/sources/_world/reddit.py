"""Reddit: submissions and comments as the API's things."""

from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import ids
from earshot.sources._world.people import REDDIT, TOPICS, topic_tags
from earshot.sources._world.plot import REPLY
from earshot.sources._world.stage import Stage, grown, refer, template

FORMAT: Final = "reddit"
_COMMON: Final = (
    '"subreddit_id":"t5_$room_id$","approved_at_utc":null,"author_is_blocked":false,'
    '"mod_reason_by":null,"banned_by":null,"author_flair_type":"text","total_awards_received":0,'
    '"subreddit":"$room$","subreddit_name_prefixed":"r/$room$","subreddit_type":"public",'
    '"author":"$handle$","author_fullname":"t2_$number$","author_flair_text":null,'
    '"author_flair_richtext":[],"author_flair_background_color":null,"author_premium":false,'
    '"edited":false,"gilded":0,"gildings":{},"all_awardings":[],"awarders":[],"archived":false,'
    '"no_follow":true,"saved":false,"stickied":false,"locked":false,"can_gild":false,'
    '"can_mod_post":false,"send_replies":true,"mod_note":null,"mod_reports":[],'
    '"user_reports":[],"num_reports":null,"report_reasons":null,"removal_reason":null,'
    '"distinguished":null,"treatment_tags":[],"top_awarded_type":null,"banned_at_utc":null,'
    '"score":$score$,"ups":$score$,"downs":0,"likes":null,'
    '"created":$seconds$.0,"created_utc":$seconds$.0,'
)
_COMMENT: Final = (
    '{"kind":"t1","data":{' + _COMMON + '"id":"$id$","name":"t1_$id$","link_id":"t3_$root_id$",'
    '"parent_id":"$parent$","body":"$text$","body_html":"<div class=\\"md\\"><p>$text$</p></div>",'
    '"is_submitter":false,"score_hidden":false,"controversiality":0,"collapsed":false,'
    '"collapsed_reason":null,"comment_type":null,"associated_award":null,'
    '"author_flair_css_class":null,"unrepliable_reason":null,"replies":"",'
    '"permalink":"/r/$room$/comments/$root_id$/thread/$id$/"}}'
)
_SUBMISSION: Final = (
    '{"kind":"t3","data":{' + _COMMON + '"id":"$id$","name":"t3_$id$","title":"$title$",'
    '"selftext":"$selftext$","selftext_html":null,"url":"$target$","domain":"$domain$",'
    '"is_self":$is_self$,"is_video":false,"is_original_content":false,"is_meta":false,'
    '"is_robot_indexable":true,"is_reddit_media_domain":false,"over_18":false,"spoiler":false,'
    '"hidden":false,"pinned":false,"quarantine":false,"hide_score":true,"media":null,'
    '"media_only":false,"media_embed":{},"secure_media":null,"secure_media_embed":{},'
    '"link_flair_text":null,"link_flair_type":"text","link_flair_richtext":[],'
    '"link_flair_background_color":"","link_flair_text_color":"dark","thumbnail":"self",'
    '"upvote_ratio":0.93,"num_comments":$comments$,"num_crossposts":0,"view_count":null,'
    '"visited":false,"clicked":false,"contest_mode":false,"content_categories":null,'
    '"discussion_type":null,"category":null,"suggested_sort":null,"subreddit_subscribers":48211,'
    '"permalink":"/r/$room$/comments/$id$/thread/"}}'
)


def render(stage: Stage) -> pl.DataFrame:
    """The step's items of Reddit: row (of the step), format, raw (String)."""
    scene = stage.scene
    rows = np.flatnonzero(scene.people.network[stage.now.person] == REDDIT)
    frame = pl.concat(
        [
            stage.frame(scene.first + rows),
            refer(stage, scene.target[rows], "to_"),
            refer(stage, scene.root[rows], "root_"),
            pl.DataFrame({"kind": stage.now.kind[rows]}),
        ],
        how="horizontal",
    ).with_columns(row=pl.Series(rows))
    frame = _written(stage, frame)
    comment = frame.filter(pl.col("kind") == REPLY)
    submission = frame.filter(pl.col("kind") != REPLY)
    parts = [
        comment.select("row", raw=template(_COMMENT)),
        submission.select("row", raw=template(_SUBMISSION)),
    ]
    return pl.concat(parts).select("row", format=pl.lit(FORMAT), raw="raw")


def _written(stage: Stage, frame: pl.DataFrame) -> pl.DataFrame:
    """With ids, names of subreddits and texts."""
    people = stage.scene.people
    community = people.community[frame["person"].to_numpy()]
    # Only English has tags that are plain letters for certain.
    room = topic_tags().head(TOPICS).str.replace_all("é", "e").gather(people.topics[community, 0])
    named = {}
    for who in ("", "to_", "root_"):
        at, seq = (frame[f"{who}{c}"].fill_null(0).to_numpy() for c in ("at", "seq"))
        named[f"{who}id"] = ids.thing(at, seq)
    self_post = pl.col("url").is_null()
    return frame.with_columns(
        **named,
        room=room,
        room_id=pl.Series(community + 20_000).cast(pl.String),
        seconds=pl.col("at") // 1_000_000,
        score=1 + grown(0.4, pl.lit(30.0)),
        comments=grown(0.1, pl.lit(30.0)),
    ).with_columns(
        parent=pl.when(pl.col("to_at") == pl.col("root_at"))
        .then(template("t3_$root_id$"))
        .otherwise(template("t1_$to_id$")),
        text=pl.concat_str("body", template("\\n\\n[$site$]($url$)"), ignore_nulls=True),
        title="body",
        selftext=pl.when(self_post & (pl.col("chance") < 0.7))
        .then(template("$body$\\n\\n$bio$"))
        .fill_null(""),
        target=pl.col("url").fill_null(
            template("https://board.example/r/$room$/comments/$id$/thread/")
        ),
        domain=pl.col("site").fill_null(template("self.$room$")),
        is_self=pl.when(self_post).then(pl.lit("true")).otherwise(pl.lit("false")),
    )
