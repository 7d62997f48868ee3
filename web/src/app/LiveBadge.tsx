import { useLiveState, useNow } from "../live/useLive";
import { number, span } from "../state/format";

const BEHIND = 20_000;

/** The state of the live connection, always in sight: never colour alone. */
export function LiveBadge() {
  const stream = useLiveState();
  const now = useNow(1000);
  const silent = (now - stream.lastEventAt) / 1000;
  const tick = stream.lastTick;
  if (stream.state === "connecting") return <span className="badge">connecting</span>;
  if (stream.state === "reconnecting") {
    return (
      <span className="badge bad" role="status">
        reconnecting, {span(silent)} old
      </span>
    );
  }
  if (tick && !tick.engine) {
    return (
      <span className="badge bad" role="status">
        engine down
      </span>
    );
  }
  if (tick?.lag_records && tick.lag_records > BEHIND) {
    return (
      <span className="badge warn" role="status">
        catching up, {number(tick.lag_records)} behind
      </span>
    );
  }
  return <span className="badge ok">live</span>;
}
