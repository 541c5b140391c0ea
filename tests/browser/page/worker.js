// The worker entry that a bundler emits beside the page's script.
import 'heddle/worker';
