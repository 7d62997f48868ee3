"""Meetup: answers to invitations as its RSVP stream sent them."""

from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import noise
from earshot.sources._world.people import MEETUP, TOPICS, topic_names, topic_tags
from earshot.sources._world.stage import Stage, template

FORMAT: Final = "meetup"
_RSVP: Final = (
    '{"venue":{"venue_name":"$city$ Hall","lon":$lon$,"lat":$lat$,"venue_id":$event$},'
    '"visibility":"public","response":"$response$","guests":$guests$,"member":{"member_id":'
    '$number$,"photo":"https://img.gather.example/$number$.jpeg","member_name":"$name$"},'
    '"rsvp_id":$rsvp$,"mtime":$ms$,"event":{"event_name":"$topic$","event_id":"$event$",'
    '"time":$starts$,"event_url":"https://gather.example/$group$/events/$event$/"},'
    '"group":{"group_topics":[{"urlkey":"community","topic_name":"Community"},'
    '{"urlkey":"$group$","topic_name":"$tag$"},{"urlkey":"newintown","topic_name":'
    '"New In Town"}],"group_city":"$city$","group_country":"$land$","group_id":$group_id$,'
    '"group_name":"$city$ $tag$","group_lon":$lon$,"group_urlname":"$group$","group_lat":$lat$}}'
)


def render(stage: Stage) -> pl.DataFrame:
    """The step's items of Meetup: row (of the step), format, raw (String)."""
    scene, people = stage.scene, stage.scene.people
    rows = np.flatnonzero(people.network[stage.now.person] == MEETUP)
    frame = stage.frame(scene.first + rows).with_columns(row=pl.Series(rows))
    person, uid = frame["person"].to_numpy(), frame["uid"].to_numpy()
    community = people.community[person]
    topic = people.topics[community, noise.below(uid, 140, 3)]
    day = frame["at"].to_numpy() // 86_400_000_000
    tag = topic_tags().head(TOPICS).str.replace_all("é", "e").gather(topic)
    yes = pl.col("chance") < 0.75
    frame = frame.with_columns(
        topic=topic_names().gather(people.lang[person] * TOPICS + topic),
        tag=tag,
        group=tag,
        group_id=pl.Series(community * 100 + topic + 1_000_000),
        event=pl.Series(community * 1_000_000 + topic * 10_000 + day % 10_000),
        starts=pl.Series((day + 3) * 86_400_000),
        rsvp=pl.Series((frame["at"].to_numpy() // 1000) * 8 + frame["seq"].to_numpy() % 8),
        ms=pl.col("at") // 1000,
        guests=pl.Series(noise.below(uid, 141, 3)),
        response=pl.when(yes).then(pl.lit("yes")).otherwise(pl.lit("no")),
        land=pl.col("country").str.to_lowercase(),
    )
    return frame.select("row", format=pl.lit(FORMAT), raw=template(_RSVP))
