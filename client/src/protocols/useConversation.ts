/** Binds a call to the reducer: the one place where messages, clocks and devices meet the state. */
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { toSessionError } from "../session/errors";
import { CannotRecordError, createCall as createRealCall } from "./call";
import type { Call, CreateCall } from "./call";
import { initialConversation, reduceConversation } from "./conversation";
import type { Conversation, ConversationEvent, Notice } from "./conversation";
import type { LineError } from "./problems";
import type { Protocol } from "./protocol";

export interface ConversationHandle {
  state: Conversation;
  micTrack: MediaStreamTrack | null;
  botTrack: MediaStreamTrack | null;
  start: (agent: string, microphoneId: string | null, key: string | null) => void;
  end: () => void;
  hold: () => void;
  letGo: () => void;
  setHandsFree: (handsFree: boolean) => void;
  setMuted: (muted: boolean) => void;
  setNotice: (notice: Notice | null) => void;
  dismissError: () => void;
}

export function useConversation(
  protocol: Protocol,
  createCall: CreateCall = createRealCall,
): ConversationHandle {
  const reduce = useMemo(() => reducerOf(protocol), [protocol]);
  const [state, dispatch] = useReducer(reduce, initialConversation);
  const [micTrack, setMicTrack] = useState<MediaStreamTrack | null>(null);
  const [botTrack, setBotTrack] = useState<MediaStreamTrack | null>(null);
  const current = useRef<Call | null>(null);
  const heldAt = useRef<number | null>(null);

  const drop = useCallback((): void => {
    current.current?.close();
    current.current = null;
    heldAt.current = null;
    setMicTrack(null);
    setBotTrack(null);
  }, []);

  const start = useCallback(
    (agent: string, microphoneId: string | null, key: string | null) => {
      if (current.current) return;
      const tell = (event: ConversationEvent): void => {
        if (current.current !== call) return;
        if (event.type === "ended" || event.type === "failed") drop();
        if (event.type === "lost" && heldAt.current !== null) {
          heldAt.current = null;
          call.letGo();
        }
        dispatch(event);
      };
      const onMicrophone = (track: MediaStreamTrack): void => {
        if (current.current === call) setMicTrack(track);
      };
      const call = createCall({ protocol, microphoneId, key, tell, onMicrophone });
      current.current = call;
      dispatch({ type: "start", handsFree: protocol.talk === "free" });
      call.open(agent).then(
        () => {
          if (current.current !== call) return;
          if (protocol.talk === "free") call.listen(true);
          setBotTrack(call.botTrack);
        },
        (error: unknown) => tell({ type: "failed", error: toError(error, key) }),
      );
    },
    [protocol, createCall, drop],
  );

  const actions = useMemo(
    () => ({
      end: () => {
        drop();
        dispatch({ type: "ended", by: "user" });
      },
      hold: () => {
        if (!current.current || heldAt.current !== null) return;
        heldAt.current = Date.now();
        current.current.hold();
        dispatch({ type: "held" });
      },
      letGo: () => {
        if (heldAt.current === null) return;
        const heldMs = Date.now() - heldAt.current;
        heldAt.current = null;
        current.current?.letGo();
        dispatch({ type: "let-go", heldMs });
      },
      setHandsFree: (handsFree: boolean) => {
        current.current?.listen(handsFree);
        dispatch({ type: "hands-free", handsFree });
      },
      setMuted: (muted: boolean) => {
        current.current?.mute(muted);
        dispatch({ type: "muted", muted });
      },
      setNotice: (notice: Notice | null) => dispatch({ type: "notice", notice }),
      dismissError: () => dispatch({ type: "dismiss-error" }),
    }),
    [drop],
  );

  useEffect(() => {
    window.addEventListener("pagehide", actions.end);
    return () => {
      window.removeEventListener("pagehide", actions.end);
      current.current?.close();
      current.current = null;
    };
  }, [actions]);

  return { state, micTrack, botTrack, start, ...actions };
}

function reducerOf(protocol: Protocol) {
  return (state: Conversation, event: ConversationEvent): Conversation => {
    if (event.type !== "message") return reduceConversation(state, event);
    if (state.voiceState === "disconnected") return state;
    return protocol.reduce(state, event.message, event.at);
  };
}

function toError(error: unknown, key: string | null): LineError {
  return error instanceof CannotRecordError ? { kind: "cannot-record" } : toSessionError(error, key);
}
