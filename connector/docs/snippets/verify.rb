require "openssl"

TOLERANCE = 300 # seconds

# Tells whether a webhook is from whom it should be, and new. body: the bytes as they came.
def genuine?(secret, id, timestamp, signatures, body)
  key = secret.delete_prefix("whsec_").unpack1("m0")
  raise ArgumentError, "this is not the signing secret of a subscription" if key.bytesize < 24
  return false unless id && timestamp && signatures
  return false if id.empty? || id.include?(".")
  return false unless timestamp.b.match?(/\A[0-9]{1,12}\z/)
  return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE

  signed = "#{id}.#{timestamp}.".b + body.b
  expected = "v1," + [OpenSSL::HMAC.digest("SHA256", key, signed)].pack("m0")
  signatures.b.split(" ").any? { |one| OpenSSL.secure_compare(expected, one) }
end

# In Rails:
#
# def hook
#   values = %w[webhook-id webhook-timestamp webhook-signature].map { |name| request.headers[name] }
#   return head(:unauthorized) unless genuine?(SECRET, *values, request.raw_post)
#   event = JSON.parse(request.raw_post)
#   head :no_content
# end
