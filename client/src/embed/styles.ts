/** All that a call needs, as one stylesheet. */
import tokens from "../styles/tokens.css?inline";
import base from "../styles/base.css?inline";
import frame from "../styles/frame.css?inline";
import voice from "../styles/voice.css?inline";
import transcript from "../styles/transcript.css?inline";
import chat from "../styles/chat.css?inline";
import embed from "./embed.css?inline";

export const STYLES = [tokens, base, frame, voice, transcript, chat, embed].join("\n");
