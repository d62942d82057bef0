"""What WebRTC hears, heard at once, and what was lost on the way, made up for."""

import time
from typing import Any

from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.utils import uint32_add

from processors.packet_order import PacketOrder


def hear_without_delay(pc: RTCPeerConnection) -> None:
    """Have a connection pass on sound as it comes.

    aiortc holds back four packets, 80 ms, and has no setting for it; a lost packet it passes over,
    so that time stands still for those who listen.

    Args:
        pc: The connection, its transceivers there.
    """
    for transceiver in pc.getTransceivers():
        if transceiver.kind == "audio":
            receiver: Any = transceiver.receiver
            receiver._RTCRtpReceiver__jitter_buffer = _ReceiveBuffer(receiver)


class _ReceiveBuffer:
    """Stands where aiortc's receiver of sound has its `JitterBuffer`.

    That gives back at most one frame for a packet, but after a loss there are several: they go to
    the decoder from here.
    """

    def __init__(self, receiver: Any) -> None:
        self._codecs = receiver._RTCRtpReceiver__codecs
        self._decoder_queue = receiver._RTCRtpReceiver__decoder_queue
        self._timestamps = TimestampMapper()
        self._order: PacketOrder[Any] = PacketOrder()
        self._last: Any = None

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take an `RtpPacket`, with its sound in `_data`.

        Returns:
            That no key frame is wanted, and no frame.
        """
        for ready, lost in self._order.add(packet.sequence_number, packet, time.monotonic()):
            if lost:
                self._conceal(lost, ready.timestamp)
            self._decode(ready, ready._data, ready.timestamp)
            self._last = ready
        return False, None

    def _conceal(self, lost: int, until: int) -> None:
        last = self._last
        if self._codecs[last.payload_type].name.lower() != "opus" or not last._data:
            return
        step = uint32_add(until, -last.timestamp) // (lost + 1)
        for i in range(1, lost + 1):
            self._decode(last, without_sound(last._data), uint32_add(last.timestamp, i * step))

    def _decode(self, packet: Any, data: bytes, timestamp: int) -> None:
        frame = JitterFrame(data, self._timestamps.map(timestamp))
        self._decoder_queue.put((self._codecs[packet.payload_type], frame))


def without_sound(packet: bytes) -> bytes:
    """Return the Opus packet that stands for a lost one as long as `packet`.

    Its frames have no bytes, which says "lost" (RFC 6716, section 3.2.1): the decoder goes on with
    the sound before, and lets it fade. The first byte of a packet tells in its last two bits how
    the frames are packed (section 3.1): 0 one, 1 and 2 two, 3 as many as six bits of the second
    byte say.
    """
    how = packet[0] & 3
    frames = (1, 2, 2, int.from_bytes(packet[1:2]) & 0x3F)[how]
    return bytes([packet[0] | 3, frames])
