(() => {
const place = document.querySelector('.incident dd'), id = place.querySelector('bdi');
const button = document.createElement('button'), said = document.createElement('span');
button.type = 'button';
button.className = 'copy';
button.textContent = place.dataset.copy;
said.setAttribute('role', 'status');
button.onclick = async () => {
let done = true;
try { await navigator.clipboard.writeText(id.textContent) }
catch { getSelection().selectAllChildren(id); done = document.execCommand('copy') }
said.textContent = done ? place.dataset.copied : '';
};
place.append(button, said);
})()
