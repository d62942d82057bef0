import { ErrorCard } from "./ErrorCard";
import { KeyForm } from "./KeyForm";
import type { Problem } from "./problems";

export interface FailureCardProps {
  error: { kind: string; detail?: string };
  problem: Problem;
  onTryAgain: () => void;
  /** The user has given a key, with which to try again. */
  onKey: (key: string) => void;
  onDismiss: () => void;
}

/** Why a call could not start, or ended early, and the ways on. */
export function FailureCard({ error, problem, onTryAgain, onKey, onDismiss }: FailureCardProps) {
  return (
    <ErrorCard title={problem.title} advice={problem.advice} detail={error.detail}>
      {asksForKey(error) ? (
        <KeyForm action={problem.action} onKey={onKey} />
      ) : (
        <button type="button" className="button" onClick={onTryAgain}>
          {problem.action}
        </button>
      )}
      <button type="button" className="button button--plain" onClick={onDismiss}>
        Dismiss
      </button>
    </ErrorCard>
  );
}

export function asksForKey({ kind }: { kind: string }): boolean {
  return kind === "key-needed" || kind === "key-refused";
}
