import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { FORMATS, toText } from "../session/export";
import type { CallFacts } from "../session/export";
import type { TranscriptEntry } from "../session/types";
import { CopyIcon, DownloadIcon } from "./icons";

export interface KeepTranscriptProps {
  entries: TranscriptEntry[];
  call: CallFacts;
}

/** Copies what was heard, or saves it as a file. */
export function KeepTranscript({ entries, call }: KeepTranscriptProps) {
  const [said, setSaid] = useState("");

  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), 2000);
    return () => clearTimeout(timer);
  }, [said]);

  const copy = (): void => {
    navigator.clipboard.writeText(toText(entries)).then(
      () => setSaid("Copied"),
      () => setSaid("The browser does not allow it"),
    );
  };

  return (
    <div className="transcript__keep">
      <span className="transcript__copied" aria-live="polite">
        {said}
      </span>
      {/* Pages that are not loaded over HTTPS have no clipboard. */}
      {"clipboard" in navigator && (
        <button
          type="button"
          className="quiet-button"
          aria-label="Copy transcript"
          title="Copy"
          onClick={copy}
        >
          <CopyIcon />
        </button>
      )}
      <DownloadMenu entries={entries} call={call} />
    </div>
  );
}

function DownloadMenu({ entries, call }: KeepTranscriptProps) {
  const [open, setOpen] = useState(false);
  const menu = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const onOutside = (event: Event): void => {
      // Not the target: where this is embedded, that is the whole of it.
      if (menu.current && !event.composedPath().includes(menu.current)) setOpen(false);
    };
    // Where this is embedded, the page is not told of the focus as it goes from part to part.
    const roots = [document, menu.current?.getRootNode() ?? document];
    for (const root of roots) {
      root.addEventListener("pointerdown", onOutside);
      root.addEventListener("focusin", onOutside);
    }
    return () => {
      for (const root of roots) {
        root.removeEventListener("pointerdown", onOutside);
        root.removeEventListener("focusin", onOutside);
      }
    };
  }, [open]);

  const close = (): void => {
    setOpen(false);
    opener.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open || event.key !== "Escape") return;
    // Further up, it would end the call.
    event.preventDefault();
    close();
  };

  return (
    <div ref={menu} className="download" onKeyDown={onKeyDown}>
      <button
        ref={opener}
        type="button"
        className="quiet-button"
        aria-label="Download transcript"
        aria-expanded={open}
        title="Download"
        onClick={() => setOpen(!open)}
      >
        <DownloadIcon />
      </button>
      {open && (
        <div className="download__formats" role="group" aria-label="Download as">
          {FORMATS.map(({ label, extension, type, write }) => (
            <button
              key={extension}
              type="button"
              className="download__format"
              onClick={() => {
                save(`transcript.${extension}`, new Blob([write(entries, call)], { type }));
                close();
              }}
            >
              {label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function save(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
