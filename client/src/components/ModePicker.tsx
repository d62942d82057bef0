import type { Mode } from "../session/types";

const WORDS: Record<Mode, { name: string; means: string }> = {
  chained: { name: "Step by step", means: "it reads what you say, thinks, and speaks" },
  speech_to_speech: { name: "Speech to speech", means: "one model hears you and speaks" },
};

export interface ModePickerProps {
  modes: Mode[];
  selected: Mode;
  onSelect: (mode: Mode) => void;
}

/** How an agent is talked with, where there is a choice. */
export function ModePicker({ modes, selected, onSelect }: ModePickerProps) {
  if (modes.length < 2) return null;
  return (
    <fieldset className="modes">
      <legend className="agents__legend">How?</legend>
      <div className="modes__list">
        {modes.map((mode) => (
          <label key={mode} className="mode">
            <input
              type="radio"
              name="mode"
              value={mode}
              checked={mode === selected}
              onChange={() => onSelect(mode)}
            />
            {WORDS[mode].name}
          </label>
        ))}
      </div>
      <p className="modes__means">{WORDS[selected].means}</p>
    </fieldset>
  );
}
