import { fileURLToPath } from "node:url";

const packages = fileURLToPath(new URL("../../../client/node_modules/", import.meta.url));

export default {
  resolve: { alias: { "@pipecat-ai": `${packages}@pipecat-ai` } },
  build: {
    emptyOutDir: true,
    rollupOptions: { input: fileURLToPath(new URL("page.html", import.meta.url)) },
  },
};
