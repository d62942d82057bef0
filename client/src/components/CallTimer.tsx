import { useEffect, useState } from "react";
import { formatDuration } from "../session/labels";

/** How long the call has lasted; nothing before it has begun. */
export function CallTimer({ startedAt }: { startedAt: number | null }) {
  const [now, setNow] = useState(() => Date.now());

  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);

  if (startedAt === null) return null;
  return (
    <span className="voice__timer" role="timer" aria-label="Call time">
      {formatDuration(now - startedAt)}
    </span>
  );
}
