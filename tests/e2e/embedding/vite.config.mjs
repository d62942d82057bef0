import { fileURLToPath } from "node:url";

const packages = fileURLToPath(new URL("../../../client/node_modules/", import.meta.url));

export default {
  base: "./",
  oxc: { jsx: { runtime: "automatic" } },
  // The app's own React is the one that there is.
  resolve: {
    alias: [
      { find: /^parlante-client$/, replacement: process.env.PARLANTE_CLIENT },
      { find: /^react(?=$|\/)/, replacement: `${packages}react` },
      { find: /^react-dom(?=$|\/)/, replacement: `${packages}react-dom` },
    ],
  },
  build: {
    emptyOutDir: true,
    rollupOptions: { input: fileURLToPath(new URL("index.html", import.meta.url)) },
  },
};
