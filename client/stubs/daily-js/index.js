// SmallWebRTCTransport imports Daily's library for its default media manager, which fetches code
// from Daily's network at run time. This client always brings its own (src/media/mediaManager.ts),
// so the library and what it depends on stay out of the bundle.
const Daily = {
  createCallObject() {
    throw new Error("Daily's media manager is not part of this client.");
  },
};

export default Daily;
