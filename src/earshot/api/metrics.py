"""Figures in Prometheus' text format, made from what the rooms know when asked."""

import ipaddress
from typing import Final

from fastapi import Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import earshot
from earshot.api import health
from earshot.api.deps import Rooms
from earshot.api.present import source_state
from earshot.model.schema import FLOW_CLASSES, MARKS

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine itself, through no proxy."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def text(rooms: Rooms) -> str:
    """All figures, and those that the process adds (`Rooms.metrics`)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(rooms))
    more = rooms.metrics() if rooms.metrics else ""
    return generate_latest(registry).decode() + more


class _Figures(Collector):
    """Reads the rooms anew for every scrape: nothing is kept here."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def collect(self) -> list[Metric]:
        """See `Collector.collect`."""
        return [*self._engine(), *self._flow(), *self._sources(), *self._rooms_sizes()]

    def _engine(self) -> list[Metric]:
        said = health.engine(self._rooms)
        build = GaugeMetricFamily("earshot_build", "Version of the server.", labels=["version"])
        build.add_metric([earshot.__version__], 1)
        figures: list[Metric] = [build]
        for name, doc, value in (
            ("running", "Whether an engine works on this home.", float(said.running)),
            ("held", "Whether it makes no progress, and waits.", float(bool(said.trouble))),
            ("records_per_second", "Records worked off a second.", said.posts_per_second),
            ("lag_records", "Records in the log not worked off.", said.lag_records),
            ("lag_seconds", "Age of the newest worked-off record.", said.event_lag_seconds),
            ("resident_megabytes", "Resident memory of the engine.", said.rss_mb),
        ):
            if value is not None:
                figures.append(GaugeMetricFamily(f"earshot_engine_{name}", doc, value=value))
        stages = GaugeMetricFamily(
            "earshot_engine_stage_microseconds_per_record", "Time in each stage.", labels=["stage"]
        )
        for stage, micros in said.stage_us.items():
            stages.add_metric([stage], micros)
        return [*figures, stages]

    def _flow(self) -> list[Metric]:
        records = CounterMetricFamily(
            "earshot_records", "Records by what became of them.", labels=["source", "class"]
        )
        marks = CounterMetricFamily(
            "earshot_posts", "Unique posts by what is true of them.", labels=["source", "mark"]
        )
        others = CounterMetricFamily(
            "earshot_beside", "Embedded and expired posts.", labels=["source", "name"]
        )
        counts = self._rooms.store.counts()
        for source, rule, name, n in counts.select("source", "rule", "name", "n").iter_rows():
            if rule == 0:
                family = records if name in FLOW_CLASSES else marks if name in MARKS else others
                family.add_metric([source, name], n)
        return [records, marks, others]

    def _sources(self) -> list[Metric]:
        rate = GaugeMetricFamily(
            "earshot_source_records_per_second", "Records taken in.", labels=["connection"]
        )
        age = GaugeMetricFamily(
            "earshot_source_age_seconds", "Age of the newest record.", labels=["connection"]
        )
        state = GaugeMetricFamily(
            "earshot_source_state", "1 for the present state.", labels=["connection", "state"]
        )
        now = self._rooms.clock.now()
        for connection, report in sorted(self._rooms.log.reports().items()):
            said = source_state(connection, report, now)
            state.add_metric([connection, said.state], 1)
            if said.rate is not None:
                rate.add_metric([connection], said.rate)
            if said.age_seconds is not None:
                age.add_metric([connection], said.age_seconds)
        return [rate, age, state]

    def _rooms_sizes(self) -> list[Metric]:
        size = GaugeMetricFamily("earshot_room_bytes", "Bytes on disk.", labels=["room"])
        size.add_metric(["store"], self._rooms.store.size())
        size.add_metric(["log"], self._rooms.log.size())
        return [size]
