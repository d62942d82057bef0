/**
 * What was said, by whom, as far as it was heard. Pure: each function takes entries and returns
 * new ones, and an entry that did not change stays the same object.
 */
import type {
  BotOutput,
  Segment,
  SessionEvent,
  ToolCall,
  ToolOutcome,
  TranscriptEntry,
} from "./types";

/** Until the voice's own pace is known: an unhurried reader. */
export const DEFAULT_SPEECH_RATE = 14;

/** A reply that goes on after a pause as short as this belongs to the same entry. */
const SAME_REPLY_MS = 2500;

function replace(
  entries: TranscriptEntry[],
  index: number,
  change: Partial<TranscriptEntry>,
): TranscriptEntry[] {
  const entry = entries[index];
  return entry ? entries.with(index, { ...entry, ...change }) : entries;
}

type Begun = Partial<TranscriptEntry> & Pick<TranscriptEntry, "role" | "text" | "at">;

/** The last entry has the highest number, whatever was taken out before it. */
function append(entries: TranscriptEntry[], begun: Begun): TranscriptEntry[] {
  const sequence = (entries.at(-1)?.sequence ?? 0) + 1;
  return [...entries, { sequence, final: false, interrupted: false, endedAt: null, ...begun }];
}

/** Where one service hears and speaks, what was heard may come when the answer has begun. */
function insertBeforeLast(entries: TranscriptEntry[], begun: Begun): TranscriptEntry[] {
  const answer = entries.at(-1);
  if (!answer) return append(entries, begun);
  const inserted = append(entries.slice(0, -1), begun);
  return [...inserted, { ...answer, sequence: answer.sequence + 1 }];
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
 *
 * @param began when they began to say it, in ms
 */
export function addUserText(
  entries: TranscriptEntry[],
  text: string,
  final: boolean,
  at: number,
  began: number,
): TranscriptEntry[] {
  if (!text.trim()) return entries;
  const last = entries.length - 1;
  const end = hasBegunAfter(entries[last], began) ? last - 1 : last;
  const open = entries.findLastIndex((entry) => entry.role === "user" && !entry.final);
  const index = open >= 0 ? open : isSaidByUser(entries[end]) ? end : -1;
  const entry = entries[index];
  const whole = join(entry?.settled ?? "", text);
  const change = {
    text: whole,
    final,
    endedAt: final ? at : null,
    ...(final && { settled: whole }),
  };
  if (entry) return replace(entries, index, change);
  const begun = { role: "user", at: began, ...change } as const;
  return end < last ? insertBeforeLast(entries, begun) : append(entries, begun);
}

/** Whether this is an answer to something that was said from then on, and goes on. */
function hasBegunAfter(entry: TranscriptEntry | undefined, began: number): boolean {
  return entry?.role === "bot" && !entry.final && entry.at > began;
}

function isSaidByUser(entry: TranscriptEntry | undefined): boolean {
  return entry?.role === "user" && !entry.written;
}

/** Add what the user wrote: it is never added to what they said. */
export function addWrittenText(
  entries: TranscriptEntry[],
  text: string,
  at: number,
): TranscriptEntry[] {
  return append(entries, {
    role: "user",
    text,
    final: true,
    at,
    endedAt: at,
    written: true,
  });
}

/**
 * Close what the user has begun to say and no final text has come for. A final text that is late
 * still replaces it.
 */
export function closeUserText(entries: TranscriptEntry[], at: number): TranscriptEntry[] {
  const index = entries.findLastIndex((entry) => entry.role === "user" && !entry.final);
  return replace(entries, index, { final: true, endedAt: at });
}

function spokenText(segments: Segment[]): string {
  return join(...segments.map((segment) => segment.text.slice(0, segment.spoken)));
}

/** What has not sounded, with a blank before it where it does not go on in the same word. */
function unheardText(segments: Segment[]): string {
  return segments
    .filter(({ text, spoken }) => spoken < text.length)
    .map(({ text, spoken }) => (/\S/.test(text.charAt(spoken - 1)) ? "" : " ") + text.slice(spoken))
    .join("")
    .replace(/\s+/g, " ")
    .trimEnd();
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
  const begun = append(entries, { role: "bot", text: "", at });
  return withSegments(begun, begun.length - 1, [newSegment(output)], at);
}

function lastBotEntry(entries: TranscriptEntry[]): number {
  return entries.findLastIndex((entry) => entry.role === "bot");
}

/** The segment whose progress is estimated by the clock, if there is one just now. */
function estimated(entry: TranscriptEntry | undefined): Segment | undefined {
  if (!entry?.segments || entry.final) return undefined;
  const sounding = current(entry.segments);
  return sounding?.timed || sounding?.startedAt === null ? undefined : sounding;
}

/** Whether `revealSpoken` is to be called again and again. */
export function isEstimated(entries: TranscriptEntry[]): boolean {
  return estimated(entries[lastBotEntry(entries)]) !== undefined;
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
  const sounding = estimated(entry);
  if (!entry?.segments || sounding?.startedAt == null) return entries;
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
export function finishBot(entries: TranscriptEntry[], at: number): TranscriptEntry[] {
  const index = lastBotEntry(entries);
  const entry = entries[index];
  if (!entry?.segments || entry.final) return entries;
  const segments = entry.segments.map((segment) => ({ ...segment, spoken: segment.text.length }));
  const text = spokenText(segments);
  return replace(entries, index, { segments, text, final: true, endedAt: at });
}

/** The bot has written all: there is no more to come of a reply of which nothing is spoken. */
export function finishWritten(entries: TranscriptEntry[], at: number): TranscriptEntry[] {
  const { segments } = entries[lastBotEntry(entries)] ?? {};
  return segments && !current(segments) ? finishBot(entries, at) : entries;
}

/** The bot was cut off: only what has sounded counts. */
export function interruptBot(entries: TranscriptEntry[], at: number): TranscriptEntry[] {
  const index = lastBotEntry(entries);
  const entry = entries[index];
  if (!entry || entry.final) return entries;
  if (!entry.text) return entries.filter((_, i) => i !== index);
  const unheard = unheardText(entry.segments ?? []);
  return replace(entries, index, { final: true, interrupted: true, endedAt: at, unheard });
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
  return replace(entries, index, { final: false, endedAt: null });
}

type Event<Type> = Extract<SessionEvent, { type: Type }>;

function indexOfTool(entries: TranscriptEntry[], callId: string): number {
  return entries.findLastIndex((entry) => entry.tool?.callId === callId);
}

export function addTool(
  entries: TranscriptEntry[],
  event: Event<"tool-started">,
): TranscriptEntry[] {
  const { callId, name, at } = event;
  if (indexOfTool(entries, callId) >= 0) return entries;
  const given = "arguments" in event && { arguments: event.arguments };
  const tool: ToolCall = { callId, outcome: "running", ...given };
  return append(entries, { role: "tool", text: name, at, tool });
}

const FAILURES: readonly ToolOutcome[] = ["failed", "timed_out"];

/** A tool is over. That it failed is told beside that, before or after. */
export function closeTool(
  entries: TranscriptEntry[],
  event: Event<"tool-stopped">,
): TranscriptEntry[] {
  const index = indexOfTool(entries, event.callId);
  const entry = entries[index];
  if (!entry?.tool) return entries;
  const outcome = FAILURES.includes(entry.tool.outcome) ? entry.tool.outcome : event.outcome;
  const returned = "result" in event && { result: event.result };
  return replace(entries, index, {
    final: true,
    endedAt: entry.endedAt ?? event.at,
    tool: { ...entry.tool, outcome, ...returned },
  });
}

/** The call is over: nothing is open any more. */
export function closeAll(entries: TranscriptEntry[], at: number): TranscriptEntry[] {
  return closeUserText(interruptBot(entries, at), at).map((entry) =>
    entry.final ? entry : { ...entry, final: true, endedAt: at },
  );
}

/** Another connection goes on, in which the server counts segments anew. */
export function forgetSegments(entries: TranscriptEntry[]): TranscriptEntry[] {
  return entries.map((entry) => {
    const { segments, ...rest } = entry;
    return segments ? rest : entry;
  });
}
