import { useEffect, useRef } from "react";

export interface ConfirmProps {
  title: string;
  advice: string;
  /** What is done. */
  action: string;
  /** What is done instead. */
  otherwise: string;
  onConfirm: () => void;
  onCancel: () => void;
}

/** Asks before something is done that cannot be undone. */
export function Confirm({ title, advice, action, otherwise, onConfirm, onCancel }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);

  // The browser gives the focus back to where it was.
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);

  return (
    <dialog
      ref={dialog}
      className="op-confirm"
      aria-labelledby="op-confirm-title"
      aria-describedby="op-confirm-advice"
      onCancel={(event) => {
        event.preventDefault();
        onCancel();
      }}
    >
      <h2 id="op-confirm-title" className="op-confirm__title">
        {title}
      </h2>
      <p id="op-confirm-advice">{advice}</p>
      <div className="op-confirm__ways">
        <button type="button" className="button" autoFocus onClick={onCancel}>
          {otherwise}
        </button>
        <button type="button" className="button op-danger" onClick={onConfirm}>
          {action}
        </button>
      </div>
    </dialog>
  );
}
