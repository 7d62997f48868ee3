// Names of the networks, for people.

const NAMES: Record<string, string> = {
  bluesky: "Bluesky",
  mastodon: "Mastodon",
  reddit: "Reddit",
  x: "X",
  meetup: "Meetup",
  csv: "CSV",
  earshot: "Earshot",
  demo: "Demo world",
};

export const networkName = (source: string): string => NAMES[source] ?? source;
