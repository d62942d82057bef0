/** Line icons, drawn in the colour of the text around them. */
import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const MicIcon = () => (
  <Icon>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
  </Icon>
);

export const MicOffIcon = () => (
  <Icon>
    <path d="M9 9v2a3 3 0 0 0 4.6 2.5M15 10.5V6a3 3 0 0 0-5.7-1.3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 10.3 5.3M18.5 11.5a6.5 6.5 0 0 1-.6 2.7M12 18v3M4 3.5l16 17" />
  </Icon>
);

export const HangUpIcon = () => (
  <Icon>
    <path d="M3.2 14.8c-.9-2.5.2-4.3 2.3-5.2a17 17 0 0 1 13 0c2.1.9 3.2 2.7 2.3 5.2l-.3.7a1 1 0 0 1-1.2.5l-3.3-1a1 1 0 0 1-.7-.9l-.2-2a11 11 0 0 0-6.2 0l-.2 2a1 1 0 0 1-.7.9l-3.3 1a1 1 0 0 1-1.2-.5z" />
  </Icon>
);

export const SlidersIcon = () => (
  <Icon>
    <path d="M4 7h9M17 7h3M4 17h3M11 17h9" />
    <circle cx="15" cy="7" r="2" />
    <circle cx="9" cy="17" r="2" />
  </Icon>
);

export const StopwatchIcon = () => (
  <Icon>
    <circle cx="12" cy="13.5" r="7" />
    <path d="M12 13.5V9.5M10 3h4M12 3v3.5" />
  </Icon>
);

export const KeyboardIcon = () => (
  <Icon>
    <rect x="3" y="6.5" width="18" height="11" rx="2" />
    <path d="M7 10.5h.01M10.3 10.5h.01M13.7 10.5h.01M17 10.5h.01M8.5 14h7" />
  </Icon>
);

export const SendIcon = () => (
  <Icon>
    <path d="M12 19.5V5M5.5 11.5 12 5l6.5 6.5" />
  </Icon>
);

export const CopyIcon = () => (
  <Icon>
    <rect x="8.5" y="8.5" width="11" height="11" rx="2" />
    <path d="M15.5 8.5V6a1.5 1.5 0 0 0-1.5-1.5H6A1.5 1.5 0 0 0 4.5 6v8A1.5 1.5 0 0 0 6 15.5h2.5" />
  </Icon>
);

export const DownloadIcon = () => (
  <Icon>
    <path d="M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14" />
  </Icon>
);

export const ArrowDownIcon = () => (
  <Icon>
    <path d="M12 5v14M6.5 13.5 12 19l5.5-5.5" />
  </Icon>
);

export const ToolIcon = () => (
  <Icon>
    <path d="M14.5 6.2a4.6 4.6 0 0 0-6 5.9l-4.6 4.6a2.1 2.1 0 0 0 3 3l4.7-4.6a4.6 4.6 0 0 0 5.9-6l-2.7 2.8-2.7-.4-.4-2.6z" />
  </Icon>
);

export const ChevronIcon = () => (
  <Icon>
    <path d="M7 10l5 5 5-5" />
  </Icon>
);
