import { useEffect, useRef } from "react";
import { HangUpIcon, KeyboardIcon, MicIcon, MicOffIcon, SlidersIcon, StopwatchIcon } from "./icons";

export interface ControlsProps {
  muted: boolean;
  /** The call is being ended. */
  ending: boolean;
  panel: Panel | null;
  onMute: (muted: boolean) => void;
  onWrite: () => void;
  onEnd: () => void;
  /** Open another panel, or none. */
  onPanel: (panel: Panel | null) => void;
}

/** What can be opened above the controls, one at a time. */
export type Panel = "sound" | "times";

/** Where keys write text, or pick what begins with the letter. */
const TEXT_FIELDS = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select";

/** Not by the target: where this is embedded, that is the whole of it. */
function isTyping(event: Event): boolean {
  const [target] = event.composedPath();
  return target instanceof HTMLElement && (target.isContentEditable || target.matches(TEXT_FIELDS));
}

/** Whether a key was pressed elsewhere on the page of another app, to which it belongs then. */
function isElsewhere(event: Event, element: HTMLElement | null): boolean {
  const root = element?.getRootNode();
  return root instanceof ShadowRoot && !event.composedPath().includes(root);
}

/** The call's buttons, and the keys M and Escape for the whole page that is ours. */
export function Controls(props: ControlsProps) {
  const { muted, ending, panel, onMute, onWrite, onEnd, onPanel } = props;
  const group = useRef<HTMLDivElement>(null);
  const toggle = (one: Panel): void => onPanel(panel === one ? null : one);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const modified = event.ctrlKey || event.metaKey || event.altKey;
      if (event.defaultPrevented || event.repeat || modified || isTyping(event)) return;
      if (isElsewhere(event, group.current)) return;
      if (event.key === "m" || event.key === "M") onMute(!muted);
      else if (event.key === "Escape" && panel) onPanel(null);
      else if (event.key === "Escape") onEnd();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [muted, panel, onMute, onEnd, onPanel]);

  return (
    <div ref={group} className="controls" role="group" aria-label="Call controls">
      <button
        type="button"
        className="control control--mute"
        aria-label={muted ? "Unmute microphone" : "Mute microphone"}
        aria-keyshortcuts="M"
        title={muted ? "Unmute (M)" : "Mute (M)"}
        disabled={ending}
        onClick={() => onMute(!muted)}
      >
        {muted ? <MicOffIcon /> : <MicIcon />}
      </button>
      <button
        type="button"
        className="control control--end"
        aria-label="End call"
        aria-keyshortcuts="Escape"
        title="End call (Esc)"
        disabled={ending}
        onClick={onEnd}
      >
        <HangUpIcon />
      </button>
      <button
        type="button"
        className="control"
        aria-label="Go on in writing"
        title="Go on in writing"
        disabled={ending}
        onClick={onWrite}
      >
        <KeyboardIcon />
      </button>
      <button
        type="button"
        className="control"
        aria-label="Sound settings"
        aria-expanded={panel === "sound"}
        title="Sound settings"
        onClick={() => toggle("sound")}
      >
        <SlidersIcon />
      </button>
      <button
        type="button"
        className="control"
        aria-label="Response times"
        aria-expanded={panel === "times"}
        title="Response times"
        onClick={() => toggle("times")}
      >
        <StopwatchIcon />
      </button>
    </div>
  );
}
