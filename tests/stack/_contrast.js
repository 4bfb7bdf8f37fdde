// The body of a function: returns [{text, ratio}] for every visible piece of text (WCAG 2.2, 1.4.3).
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const context = canvas.getContext("2d", { willReadFrequently: true });

/** Paint colours over each other; returns red, green, blue as the screen shows them. */
function blend(colours) {
  context.clearRect(0, 0, 1, 1);
  for (const colour of colours) {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
  }
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function grounds(element) {
  const found = [];
  for (let at = element; at; at = at.parentElement) found.unshift(getComputedStyle(at).backgroundColor);
  return found;
}

const measured = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  if (!text || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
  const ground = grounds(element);
  const light = [luminance(blend(ground)), luminance(blend([...ground, getComputedStyle(element).color]))];
  const ratio = (Math.max(...light) + 0.05) / (Math.min(...light) + 0.05);
  measured.push({ text: text.slice(0, 40), ratio: Math.round(ratio * 100) / 100 });
}
return measured;
