import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import {defineConfig} from "eslint/config";
import typescript from "typescript-eslint";

export default defineConfig(
  {ignores: ["src/api/schema.ts"]},
  typescript.configs.recommended,
  a11y.flatConfigs.strict,
  hooks.configs.flat.recommended,
  {
    languageOptions: {parserOptions: {project: "tsconfig.app.json", tsconfigRootDir: import.meta.dirname}},
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-empty-function": "off",
      "@typescript-eslint/no-unused-vars": ["error", {argsIgnorePattern: "^_", varsIgnorePattern: "^_"}],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", {considerDefaultExhaustiveForUnions: true}],
      "jsx-a11y/no-autofocus": "off", // Mantine's focus trap goes by it
      eqeqeq: "error",
      "max-lines": ["error", 600],
      "max-lines-per-function": ["error", 120],
    },
  },
);
