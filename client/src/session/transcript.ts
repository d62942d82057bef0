/**
 * What was said, by whom, as far as it was heard. Pure: each function takes entries and returns
 * new ones, and an entry that did not change stays the same object.
 */
import type { BotOutput, Segment, TranscriptEntry } from "./types";

/** Until the voice's own pace is known: an unhurried reader. */
export const DEFAULT_SPEECH_RATE = 14;

/** A reply that goes on after a pause as short as this belongs to the same entry. */
const SAME_REPLY_MS = 2500;

function replace(
  entries: TranscriptEntry[],
  index: number,
  change: Partial<TranscriptEntry>,
): TranscriptEntry[] {
  return entries.map((entry, i) => (i === index ? { ...entry, ...change } : entry));
}

function join(...parts: string[]): string {
  return parts
    .map((part) => part.trim())
    .filter(Boolean)
    .join(" ");
}

/**
 * Add what the user said.
 *
 * An interim text replaces the interim text before it. A final one is kept, and a further one in
 * the same turn is added to it.
 */
export function addUserText(
  entries: TranscriptEntry[],
  text: string,
  final: boolean,
  at: number,
  id: string,
): TranscriptEntry[] {
  if (!text.trim()) return entries;
  const last = entries.length - 1;
  const open = entries.findLastIndex((entry) => entry.role === "user" && !entry.final);
  const index = open >= 0 ? open : entries[last]?.role === "user" ? last : -1;
  const entry = entries[index];
  if (!entry) {
    const settled = final ? text.trim() : "";
    return [
      ...entries,
      { id, role: "user", text: text.trim(), final, interrupted: false, at, settled },
    ];
  }
  const whole = join(entry.settled ?? "", text);
  return replace(entries, index, {
    text: whole,
    final,
    ...(final ? { settled: whole } : {}),
  });
}

/** Add what the user wrote: it is never added to what they said. */
export function addWrittenText(
  entries: TranscriptEntry[],
  text: string,
  at: number,
  id: string,
): TranscriptEntry[] {
  return [...entries, { id, role: "user", text, final: true, interrupted: false, at }];
}

/**
 * Close what the user has begun to say and no final text has come for. A final text that is late
 * still replaces it.
 */
export function closeUserText(entries: TranscriptEntry[]): TranscriptEntry[] {
  const index = entries.findLastIndex((entry) => entry.role === "user" && !entry.final);
  const entry = entries[index];
  return entry ? replace(entries, index, { final: true }) : entries;
}

function spokenText(segments: Segment[]): string {
  return join(...segments.map((segment) => segment.text.slice(0, segment.spoken)));
}

/** The first segment that has not fully sounded. */
function current(segments: Segment[]): Segment | undefined {
  return segments.find((segment) => segment.spoken < segment.text.length);
}

function withSegments(
  entries: TranscriptEntry[],
  index: number,
  segments: Segment[],
  at: number,
): TranscriptEntry[] {
  const sounding = current(segments);
  const started = segments.map((segment) =>
    segment === sounding && segment.startedAt === null ? { ...segment, startedAt: at } : segment,
  );
  return replace(entries, index, { segments: started, text: spokenText(started) });
}

function newSegment(output: BotOutput): Segment {
  const spoken =
    output.status === "completed" || !output.willBeSpoken
      ? output.text.length
      : Math.min(output.accumulated.length, output.text.length);
  return {
    id: output.segmentId,
    text: output.text,
    spoken,
    startedAt: null,
    timed: output.status === "in-progress",
  };
}

function indexOfSegment(entries: TranscriptEntry[], segmentId: number): number {
  return entries.findLastIndex((entry) =>
    entry.segments?.some((segment) => segment.id === segmentId),
  );
}

/** Follow what the bot says. The text of an entry grows as it sounds. */
export function addBotOutput(
  entries: TranscriptEntry[],
  output: BotOutput,
  at: number,
  id: string,
): TranscriptEntry[] {
  const known = indexOfSegment(entries, output.segmentId);
  const entry = entries[known];
  if (entry?.segments) {
    if (entry.interrupted) return entries;
    const segments = entry.segments.map((segment) =>
      segment.id === output.segmentId
        ? {
            ...segment,
            timed: segment.timed || output.status === "in-progress",
            spoken:
              output.status === "completed"
                ? segment.text.length
                : Math.min(
                    Math.max(output.accumulated.length, segment.timed ? 0 : segment.spoken),
                    segment.text.length,
                  ),
          }
        : segment,
    );
    return withSegments(entries, known, segments, at);
  }
  const last = entries[entries.length - 1];
  if (last?.role === "bot" && !last.final && !last.interrupted) {
    const segments = [...(last.segments ?? []), newSegment(output)];
    return withSegments(entries, entries.length - 1, segments, at);
  }
  const begun: TranscriptEntry[] = [
    ...entries,
    { id, role: "bot", text: "", final: false, interrupted: false, at, segments: [] },
  ];
  return withSegments(begun, begun.length - 1, [newSegment(output)], at);
}

function lastBotEntry(entries: TranscriptEntry[]): number {
  return entries.findLastIndex((entry) => entry.role === "bot");
}

/**
 * Show as much of the current segment as should have sounded by now.
 *
 * Many voices report a sentence when it begins and when it is done, and nothing between. Its last
 * word is left to that report.
 *
 * @param rate characters a second
 */
export function revealSpoken(
  entries: TranscriptEntry[],
  at: number,
  rate: number,
): TranscriptEntry[] {
  const index = lastBotEntry(entries);
  const entry = entries[index];
  if (!entry?.segments || entry.final) return entries;
  const sounding = current(entry.segments);
  if (!sounding || sounding.timed || sounding.startedAt === null) return entries;
  const reached = Math.floor(((at - sounding.startedAt) / 1000) * rate);
  const spoken = sounding.text.lastIndexOf(" ", reached);
  if (spoken <= sounding.spoken) return entries;
  const segments = entry.segments.map((segment) =>
    segment === sounding ? { ...segment, spoken } : segment,
  );
  return replace(entries, index, { segments, text: spokenText(segments) });
}

/**
 * The pace of the voice, measured on a segment that was just completed.
 *
 * @returns characters a second; `known` where this segment tells nothing
 */
export function measureRate(
  entries: TranscriptEntry[],
  output: BotOutput,
  at: number,
  known: number,
): number {
  const segment = entries[indexOfSegment(entries, output.segmentId)]?.segments?.find(
    (candidate) => candidate.id === output.segmentId,
  );
  if (output.status !== "completed" || segment?.startedAt == null) return known;
  const seconds = (at - segment.startedAt) / 1000;
  if (segment.text.length < 20 || seconds < 0.8) return known;
  const measured = segment.text.length / seconds;
  return measured > 6 && measured < 40 ? (known + measured) / 2 : known;
}

/** The bot stopped by itself: all it had begun has sounded. */
export function finishBot(entries: TranscriptEntry[]): TranscriptEntry[] {
  const index = lastBotEntry(entries);
  const entry = entries[index];
  if (!entry?.segments || entry.final) return entries;
  const segments = entry.segments.map((segment) => ({ ...segment, spoken: segment.text.length }));
  return replace(entries, index, { segments, text: spokenText(segments), final: true });
}

/** The bot was cut off: only what has sounded stays. */
export function interruptBot(entries: TranscriptEntry[]): TranscriptEntry[] {
  const index = lastBotEntry(entries);
  const entry = entries[index];
  if (!entry || entry.final) return entries;
  if (!entry.text) return entries.filter((_, i) => i !== index);
  return replace(entries, index, { final: true, interrupted: true });
}

/** Take up the bot's last entry again if this goes on with it after a short pause. */
export function resumeBot(
  entries: TranscriptEntry[],
  stoppedAt: number | null,
  at: number,
): TranscriptEntry[] {
  const index = entries.length - 1;
  const entry = entries[index];
  const goesOn = stoppedAt !== null && at - stoppedAt < SAME_REPLY_MS;
  if (entry?.role !== "bot" || !entry.final || entry.interrupted || !goesOn) return entries;
  return replace(entries, index, { final: false });
}

export function addTool(
  entries: TranscriptEntry[],
  name: string | undefined,
  at: number,
  id: string,
): TranscriptEntry[] {
  if (entries.some((entry) => entry.id === id)) return entries;
  const text = name ?? "";
  return [...entries, { id, role: "tool", text, final: false, interrupted: false, at }];
}

export function closeTool(
  entries: TranscriptEntry[],
  id: string,
  cancelled: boolean,
): TranscriptEntry[] {
  const index = entries.findIndex((entry) => entry.id === id && !entry.final);
  return index < 0 ? entries : replace(entries, index, { final: true, interrupted: cancelled });
}

/** The call is over: nothing is open any more. */
export function closeAll(entries: TranscriptEntry[]): TranscriptEntry[] {
  return closeUserText(interruptBot(entries)).map((entry) =>
    entry.final ? entry : { ...entry, final: true },
  );
}

/** Another connection goes on, in which the server counts segments anew. */
export function forgetSegments(entries: TranscriptEntry[]): TranscriptEntry[] {
  return entries.map((entry) => {
    const { segments, ...rest } = entry;
    return segments ? rest : entry;
  });
}

/** Entries as plain text, for the clipboard or a file. */
export function transcriptAsText(entries: TranscriptEntry[], agentLabel: string): string {
  return entries
    .filter((entry) => entry.role !== "tool" && entry.text)
    .map((entry) => {
      const who = entry.role === "user" ? "You" : agentLabel;
      return `${who}: ${entry.text}${entry.interrupted ? " …" : ""}`;
    })
    .join("\n");
}
