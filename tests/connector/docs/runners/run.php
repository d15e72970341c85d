<?php
// Asks a snippet (the first argument) about each line of JSON; answers with one line each.
error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
set_error_handler(function ($level, $message) {
    throw new ErrorException($message);
});
require $argv[1];

while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
    try {
        $value = is_genuine(
            $asked['secret'], $asked['id'], $asked['timestamp'], $asked['signatures'],
            base64_decode($asked['body'])
        );
        $said = ['value' => $value];
    } catch (InvalidArgumentException $error) {
        $said = ['error' => $error->getMessage()];
    }
    echo json_encode($said), "\n";
}
