import type { ReactNode } from "react";

export interface ErrorCardProps {
  title: string;
  advice: string;
  /** What the server or browser said, word for word. */
  detail?: string | undefined;
  children?: ReactNode;
}

/** A problem, and the ways on as children. */
export function ErrorCard({ title, advice, detail, children }: ErrorCardProps) {
  return (
    <div className="error-card" role="alert">
      <p className="error-card__title">{title}</p>
      <p className="error-card__advice">{advice}</p>
      {detail && <p className="error-card__detail">{detail}</p>}
      {children && <div className="error-card__actions">{children}</div>}
    </div>
  );
}
