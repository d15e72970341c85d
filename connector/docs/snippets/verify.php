<?php

const TOLERANCE = 300; // seconds

/** Tells whether a webhook is from whom it should be, and new. $body: the bytes as they came. */
function is_genuine(
    string $secret, ?string $id, ?string $timestamp, ?string $signatures, string $body
): bool {
    $key = base64_decode(preg_replace('/\Awhsec_/', '', $secret), true);
    if ($key === false || strlen($key) < 24) {
        throw new InvalidArgumentException('this is not the signing secret of a subscription');
    }
    if ($id === null || $id === '' || str_contains($id, '.') || $signatures === null) {
        return false;
    }
    if (preg_match('/\A[0-9]{1,12}\z/', $timestamp ?? '') !== 1) {
        return false;
    }
    if (abs(time() - (int) $timestamp) > TOLERANCE) {
        return false;
    }
    $mac = hash_hmac('sha256', "$id.$timestamp.$body", $key, true);
    foreach (explode(' ', $signatures) as $one) {
        if (hash_equals('v1,' . base64_encode($mac), $one)) {
            return true;
        }
    }
    return false;
}

// In a plain script:
//
// $body = file_get_contents('php://input');
// $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? null;
// $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? null;
// $signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? null;
// if (!is_genuine(SECRET, $id, $timestamp, $signatures, $body)) {
//     http_response_code(401);
//     exit;
// }
// $event = json_decode($body, true);
