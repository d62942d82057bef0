import { ErrorCard } from "./ErrorCard";
import { describeError } from "./problems";

/** Nobody knows which agents there are. */
export function UnreachableCard({ onTryAgain }: { onTryAgain: () => void }) {
  const { title, advice, action } = describeError({ kind: "server-unreachable" });
  return (
    <ErrorCard title={title} advice={advice}>
      <button type="button" className="button" onClick={onTryAgain}>
        {action}
      </button>
    </ErrorCard>
  );
}
