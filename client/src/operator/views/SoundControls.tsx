import { formatDuration } from "../../session/labels";
import type { Span } from "../axis";
import type { Player, Side } from "../usePlayer";
import type { SoundState } from "../useSound";

export interface SoundControlsProps {
  sound: SoundState;
  isLive: boolean;
  player: Player;
  span: Span;
  botLabel: string;
}

/** Play, pause, and which side is heard. */
export function SoundControls({ sound, isLive, player, span, botLabel }: SoundControlsProps) {
  if (sound.status !== "ready") {
    return <p className="op-sound op-sound--none">{silence(sound.status, isLive)}</p>;
  }
  const sides: [Side, string][] = [
    ["user", "User"],
    ["bot", botLabel],
  ];
  return (
    <div className="op-sound" role="group" aria-label="Sound">
      <button type="button" className="op-button op-play" onClick={player.toggle}>
        <span aria-hidden="true">{player.playing ? "❚❚" : "▶"}</span>
        {player.playing ? "Pause" : "Play"}
      </button>
      <span className="op-sound__at">
        {formatDuration((player.at ?? span.from) - span.from)} /{" "}
        {formatDuration(span.to - span.from)}
      </span>
      {sides.map(([side, name]) => (
        <label key={side} className={`op-side op-side--${side}`}>
          <input
            type="checkbox"
            checked={!player.silent[side]}
            onChange={(event) => player.setSilent(side, !event.target.checked)}
          />
          {name}
        </label>
      ))}
    </div>
  );
}

function silence(status: "none" | "loading" | "failed", isLive: boolean): string {
  if (status === "loading") return "Fetching the sound…";
  if (status === "failed") return "The sound cannot be played.";
  return isLive
    ? "If calls are recorded, this one can be heard when it is over."
    : "The sound of this call was not kept.";
}
