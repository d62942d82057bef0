import type { SessionNotice } from "../session/types";
import { ErrorCard } from "./ErrorCard";
import { describeNotice } from "./problems";

interface NoticeProps {
  notice: SessionNotice;
  onDismiss: () => void;
  onUnblockSound: () => void;
}

/** A problem with which the call goes on. */
export function Notice({ notice, onDismiss, onUnblockSound }: NoticeProps) {
  return (
    <ErrorCard {...describeNotice(notice)} detail={notice.detail}>
      {notice.kind === "sound-blocked" && (
        <button type="button" className="button" onClick={onUnblockSound}>
          Turn on sound
        </button>
      )}
      <button type="button" className="button button--plain" onClick={onDismiss}>
        Dismiss
      </button>
    </ErrorCard>
  );
}
