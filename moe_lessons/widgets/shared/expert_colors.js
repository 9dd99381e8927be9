// One color per expert, and the ink that reads on it. figures/routing.py has the same colors; a test holds them equal.

// For experts past the palette: its first eight hues again, darker (below 0) or lighter (above).
const LEVELS = [0, 0, -0.38, 0.66, -0.6, 0.25, -0.2, 0.4];

/** One color per expert, "#rrggbb"; above 64 experts they repeat, so a number always stands beside them. */
export function expertColors(palette, n) {
  return Array.from({ length: n }, (_, expert) => {
    if (expert < palette.length) return palette[expert].toLowerCase();
    const level = LEVELS[Math.floor(expert / 8) % 8];
    const target = level < 0 ? 0 : 255;
    const mixed = channels(palette[expert % 8]).map((c) => Math.floor(c + (target - c) * Math.abs(level) + 0.5));
    return `#${mixed.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
  });
}

/** The text color that reads better on a background, by the rule of WCAG 2: near black or white. */
export function inkOn(color) {
  const [r, g, b] = channels(color).map((c) =>
    c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.203 ? "#1b1b1b" : "#ffffff";
}

/** "#rrggbb" as three numbers. */
export function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}
